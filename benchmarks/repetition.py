"""Boxes or FSRS: which spaced repetition serves better at this course's few exercises?

    pip install fsrs; python benchmarks/repetition.py

Simulated learners solve two exercises a day and have an interview every third day, which asks what
is due, the longest overdue first, then others at random. The score is the probability that an
exercise would go well, averaged over the solved ones and over days 30 to 240. The learners
forget by three models, none of which is the rule behind either schedule; their constants are
drawn for each exercise from ranges of our own choice, so read the table as "does it matter", not
as a forecast. Without fsrs only the boxes and the random order are shown.
"""

import datetime
import math
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from benchmarks._bench import installed  # noqa: E402
from zglearn.course.mock_interview.reviews import INTERVALS  # noqa: E402

EXERCISES, DAYS, LEARNERS = 139, 240, 20
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
fsrs = installed("fsrs")


class HalfLife:
    """p = 2^(-t / h); h grows by a factor when it went well, and halves when it did not."""

    def __init__(self, rng, day):
        self.h, self.seen = rng.lognormvariate(math.log(3), 0.6), day
        self.factor = rng.uniform(1.4, 3)

    def p(self, day):
        return 2 ** ((self.seen - day) / self.h)

    def see(self, day, well):
        self.h, self.seen = max(0.5, self.h * (self.factor if well else 0.5)), day


class Spacing:
    """Exponential forgetting whose stability grows the more, the nearer it was to forgotten."""

    def __init__(self, rng, day):
        self.s, self.seen = rng.lognormvariate(math.log(3), 0.6), day
        self.a, self.b, self.c = rng.uniform(2, 6), rng.uniform(1, 2.5), rng.uniform(0.1, 0.3)

    def p(self, day):
        return math.exp((self.seen - day) / (3 * self.s))

    def see(self, day, well):
        gain = self.a * math.expm1(self.b * (1 - self.p(day))) * self.s**-self.c
        self.s, self.seen = self.s * (1 + gain) if well else max(0.5, 0.4 * self.s), day


class Activation:
    """Each practice decays as a power of time, the faster the more active it was (the form of
    Pavlik & Anderson, 2005)."""

    def __init__(self, rng, day):
        self.a, self.c = rng.uniform(0.12, 0.25), rng.uniform(0.15, 0.3)
        self.threshold, self.practices = rng.uniform(-1.4, -0.6), [(day, self.a)]

    def activation(self, day):
        return math.log(sum(max(40 * (day - at), 0.5) ** -d for at, d in self.practices))

    def p(self, day):
        return 1 / (1 + math.exp((self.threshold - self.activation(day)) / 0.3))

    def see(self, day, well):
        decay = self.a + self.c * math.exp(min(self.activation(day), 1))
        self.practices.append((day, decay))


class AtRandom:
    """Nothing is ever due."""

    def __init__(self):
        self.due = {}

    def solved(self, i, day):
        self.due[i] = math.inf

    def asked(self, i, day, well):
        pass


class Boxes:
    """The course's own."""

    def __init__(self):
        self.due, self.box = {}, {}

    def solved(self, i, day):
        self.box[i], self.due[i] = 1, day + INTERVALS[0]

    def asked(self, i, day, well):
        self.box[i] = min(self.box[i] + 1, len(INTERVALS)) if well else 1
        self.due[i] = day + INTERVALS[self.box[i] - 1]


class Fsrs:
    """FSRS with its own weights, "again" or "good", for a probability of `retention` when due."""

    def __init__(self, retention):
        self.due, self.cards = {}, {}
        self.scheduler = fsrs.Scheduler(desired_retention=retention, enable_fuzzing=False,
                                        learning_steps=(), relearning_steps=())

    def solved(self, i, day):
        self.cards[i] = fsrs.Card(card_id=i + 1)
        self.asked(i, day, True)

    def asked(self, i, day, well):
        rating = fsrs.Rating.Good if well else fsrs.Rating.Again
        self.cards[i], _ = self.scheduler.review_card(self.cards[i], rating,
                                                      BEGIN + datetime.timedelta(days=day))
        self.due[i] = (self.cards[i].due - BEGIN) / datetime.timedelta(days=1)


def life(memory, schedule, seed, budget):
    """One learner's mean probability; `budget` exercises are asked in an interview."""
    constants, luck, order = (random.Random(f"{seed} {use}") for use in ("own", "luck", "order"))
    memories, means = [], []
    for day in range(DAYS):
        for _ in range(min(2, EXERCISES - len(memories))):
            schedule.solved(len(memories), day)
            memories.append(memory(constants, day))
        if day % 3 == 2:
            due = sorted((i for i in schedule.due if schedule.due[i] <= day + 0.5),
                         key=schedule.due.get)[:budget]
            others = [i for i in schedule.due if i not in due]
            for i in due + order.sample(others, min(budget - len(due), len(others))):
                well = luck.random() < memories[i].p(day)
                memories[i].see(day, well)
                schedule.asked(i, day, well)
        if day >= 30:
            means.append(np.mean([m.p(day + 1) for m in memories]))
    return np.mean(means)


def main():
    schedules = {"random": AtRandom, "boxes": Boxes}
    if fsrs:
        schedules |= {"FSRS 0.9": lambda: Fsrs(0.9), "FSRS 0.8": lambda: Fsrs(0.8)}
    print(f"{LEARNERS} learners; minus boxes: paired, with a 95 % t interval")
    for memory in (HalfLife, Spacing, Activation):
        for budget in (6, 15):
            scores = {name: np.array([life(memory, made(), seed, budget)
                                      for seed in range(LEARNERS)])
                      for name, made in schedules.items()}
            print(f"\n{memory.__name__}, {budget} in an interview")
            for name, score in scores.items():
                less = score - scores["boxes"]
                half = stats.t.ppf(0.975, LEARNERS - 1) * stats.sem(less)
                print(f"  {name:9} {score.mean():.3f}   "
                      f"minus boxes {less.mean():+.3f} ± {half:.3f}")


if __name__ == "__main__":
    main()
