"""Cards about references: numbers, titles, authors and years, compared with the real ones.

Where a card says that we found no such paper, a large store of web pages and documentation had been
searched for it, not every catalogue there is. What was found is listed below, with its address.
"""

import re
from typing import NamedTuple

from zglearn.exercises.cards import card


class Work(NamedTuple):
    """A work as it is listed, and where we read the listing (November 2026)."""

    title: str
    authors: tuple[str, ...]
    year: int
    number: str  # of arXiv, or an ISBN
    seen: str


SET_FAMILIES = Work("Upper Bounds For Families Without Weak Delta-Systems", ("Eric Naslund",),
                    2022, "2203.13370", "ar5iv.labs.arxiv.org/html/2203.13370")
WGAN = Work("Improved Training of Wasserstein GANs",
            ("Ishaan Gulrajani", "Faruk Ahmed", "Martin Arjovsky", "Vincent Dumoulin",
             "Aaron Courville"),
            2017, "1704.00028", "papers.nips.cc/paper/7159-improved-training-of-wasserstein-gans")
JIGSAW = Work("Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles",
              ("Mehdi Noroozi", "Paolo Favaro"),
              2016, "1603.09246", "paperswithcode.com/paper/unsupervised-learning-of-visual-1")
DROPOUT = Work("A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
               ("Yarin Gal", "Zoubin Ghahramani"),
               2016, "1512.05287", "nips.cc/Conferences/2016/ScheduleMultitrack?event=7250")
BERT = Work("BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
            ("Jacob Devlin", "Ming-Wei Chang", "Kenton Lee", "Kristina Toutanova"),
            2019, "1810.04805", "aclanthology.org/N19-1423")
NLTK_BOOK = Work("Natural Language Processing with Python",
                 ("Steven Bird", "Ewan Klein", "Edward Loper"),
                 2009, "9780596516499", "github.com/nltk/nltk, CITATION.cff")
DEEP_LEARNING = Work("Deep Learning", ("Ian Goodfellow", "Yoshua Bengio", "Aaron Courville"),
                     2016, "0262035618", "www.deeplearningbook.org")
SPEECH = Work("Speech and Language Processing", ("Daniel Jurafsky", "James H. Martin"),
              2009, "0131873210", "the BibTeX entry of the second edition")
PYTHON_ML = Work("Python Machine Learning", ("Sebastian Raschka",),
                 2015, "9781783555130", "github.com/rasbt/python-machine-learning-book")
SAITOH = Work("深度学习入门：基于Python的理论与实现", ("斋藤康毅",),
              2018, "9787115485588", "its imprint")

PAPERS = (SET_FAMILIES, WGAN, JIGSAW, DROPOUT, BERT)
BOOKS = (NLTK_BOOK, DEEP_LEARNING, SPEECH, PYTHON_ML, SAITOH)


def first_submitted(number):
    """(year, month) that an arXiv number of today's form encodes; None if it has not that form."""
    form = re.fullmatch(r"(\d\d)(0[1-9]|1[0-2])\.\d{4,5}", number)
    return form and (2000 + int(form[1]), int(form[2]))


def isbn_checks(number):
    """Whether the last digit of an ISBN of 10 or 13 digits is the one that the others demand."""
    digits = [10 if d == "X" else int(d) for d in number]
    if len(digits) == 10:
        return sum((10 - i) * d for i, d in enumerate(digits)) % 11 == 0
    return sum((3 if i % 2 else 1) * d for i, d in enumerate(digits)) % 10 == 0


def telling_words(title):
    """Its words of more than three letters, in lower case."""
    return {word for word in re.findall(r"\w+", title.lower()) if len(word) > 3}


# --- numbers ----------------------------------------------------------------------------------


@card("references", "false", chapter="17", rows=["E111"],
      right="Look the number up: under this one stands a paper on combinatorics, by Eric "
            "Naslund. Of the cited title we found no paper, under this number or another.")
def a_paper_on_no_gradient_optimization():
    """‘No-Gradient Optimization for Deep Learning’ can be read on arXiv, where it has the number
    2203.13370."""
    cited = "No-Gradient Optimization for Deep Learning"
    assert first_submitted(SET_FAMILIES.number) == (2022, 3)
    assert telling_words(cited) & telling_words(SET_FAMILIES.title) == set()
    assert telling_words(cited) & telling_words(DEEP_LEARNING.title)  # others do share words
    return (f"2203.13370 is a well-formed number, of March 2022. Listed under it "
            f"({SET_FAMILIES.seen}): “{SET_FAMILIES.title}”. The two titles share no word of more "
            "than three letters.")


@card("references", "false", chapter="17", rows=["E112"],
      right="The form shows nothing; what is needed is the listing itself. We found no paper of "
            "this title, and could not read what stands under the number: that stays unknown to "
            "us.")
def a_number_of_the_right_form():
    """That its arXiv number, 2107.13988, has the right form and the right month shows that ‘A
    No-Gradient Optimization Framework for Language Modeling’ is a paper of July 2021."""
    real = [first_submitted(work.number) for work in PAPERS]
    assert all(real) and first_submitted("2107.13988") == (2021, 7)
    made_up = [first_submitted(f"2107.{n:05}") for n in range(17, 100_000, 100)]
    assert made_up == [(2021, 7)] * 1000
    return (f"The number passes, as do those of {len(real)} real papers. So do all of "
            f"{len(made_up):,} numbers made up by a program: the form decides nothing here.")


@card("references", "true", chapter="17", rows=["E111", "E112"],
      right="The first four digits of such a number are the year and the month, and no year has "
            "a thirteenth month. A wrong form refutes a reference; a right one proves nothing.")
def the_thirteenth_month():
    """There is no paper with the arXiv number 2213.04567, and you can tell without looking it
    up."""
    assert first_submitted("2213.04567") is None
    assert all(first_submitted(work.number)[0] <= work.year for work in PAPERS)
    return ("The month would be 13. In five real references the number's year is the year of "
            "publication or earlier, as it must be.")


@card("references", "true", chapter="17", rows=["E116"],
      right="The number counts from the first version on arXiv, and conferences come later. The "
            "paper is real; about optimization without gradients it says nothing.")
def a_number_older_than_the_conference():
    """‘A Theoretically Grounded Application of Dropout in Recurrent Neural Networks’ was presented
    at the NIPS conference of December 2016, although its arXiv number is 1512.05287."""
    year, month = first_submitted(DROPOUT.number)
    waited = 12 * DROPOUT.year + 12 - (12 * year + month)
    assert waited == 12
    return (f"The number is of {year}-{month}, the conference of {DROPOUT.year}-12 "
            f"({DROPOUT.seen}): {waited} months from the first version to the poster.")


@card("references", "it depends", chapter="17", rows=["E117"],
      holds="for the preprint, of October", fails="for the conference paper, of June 2019",
      right="Two versions are cited. Name the venue, and the year follows.")
def the_year_of_bert():
    """BERT, by Devlin, Chang, Lee and Toutanova, is a paper of 2018."""
    year, month = first_submitted(BERT.number)
    assert (year, month) == (2018, 10) and BERT.year == 2019
    assert [name.split()[-1] for name in BERT.authors] == ["Devlin", "Chang", "Lee", "Toutanova"]
    return (f"arXiv {BERT.number} is a number of {year}-{month}; the proceedings of NAACL "
            f"({BERT.seen}) are of {BERT.year}. The four authors are right.")


@card("references", "false", chapter="17", rows=["E118", "E120"],
      right="A check digit finds slips of the pen. It knows nothing of titles: one number in ten "
            "passes by chance, and a real number can stand beside the wrong book.")
def a_check_digit_proves_the_book():
    """If the check digit of an ISBN is right, the number belongs to the book beside which it is
    printed."""
    assert all(isbn_checks(book.number) for book in BOOKS)
    thirteen = [book.number for book in BOOKS if len(book.number) == 13]
    passed = sum(isbn_checks(f"{int(n[:12]) + k}{d}") for n in thirteen
                 for k in range(100) for d in range(10))
    assert passed == 100 * len(thirteen)
    return (f"Five real numbers pass. But of every ten that differ in the last digit only, one "
            f"passes, printed or not; and {PYTHON_ML.number}, of “{PYTHON_ML.title}”, would pass "
            "beside any other title.")


# --- titles and authors -----------------------------------------------------------------------


@card("references", "false", chapter="17", rows=["E113"],
      right="That paper is “Improved Training of Wasserstein GANs”. The cited title sounds right, "
            "and we found no paper that has it: no proof, but a reason not to cite it.")
def a_title_that_sounds_right():
    """What Gulrajani and others published at NIPS 2017 is ‘A Theoretical Comparison of Regularized
    and Unregularized Learning in Neural Networks’."""
    cited = telling_words("A Theoretical Comparison of Regularized and Unregularized Learning in "
                          "Neural Networks")
    assert cited & telling_words(WGAN.title) == set()
    assert len(cited & telling_words(DROPOUT.title)) == 2 and WGAN.year == 2017
    return (f"In the proceedings ({WGAN.seen}) stands “{WGAN.title}”, by {WGAN.authors[0]} and "
            f"{len(WGAN.authors) - 1} others. Of the {len(cited)} longer words of the cited title "
            "it has none.")


def is_right(reference, listed):
    title, name, year = reference
    return title == listed.title and year == listed.year


def is_right_in_all_parts(reference, listed):
    title, name, year = reference
    surnames = [author.split()[-1] for author in listed.authors]
    return title == listed.title and year == listed.year and name in surnames


@card("references", "false", chapter="17", rows=["E114"],
      broken=is_right, repaired=is_right_in_all_parts,
      right="Title, year and authors are compared one by one: two may be right and the third "
            "wrong. The jigsaw paper is by Mehdi Noroozi and Paolo Favaro.")
def a_reference_in_three_parts(broken, repaired):
    """This function tells whether a reference, its title, first author and year, agrees with the
    listing of the work."""
    cited = (JIGSAW.title, "Mnih", 2016)
    assert broken(cited, JIGSAW) and not repaired(cited, JIGSAW)
    for work in PAPERS:
        assert repaired((work.title, work.authors[0].split()[-1], work.year), work)
    return ("It passes the paper about jigsaw puzzles under the name of Mnih, for two of three "
            f"parts agree with the listing ({JIGSAW.seen}). Compared in all three, that reference "
            f"fails, and {len(PAPERS)} right ones pass.")


@card("references", "false", chapter="17", rows=["E115"],
      right="It is by Steven Bird, Ewan Klein and Edward Loper; its makers say how to cite it "
            "in a file beside their program. Half a name that fits is not a name.")
def which_steven():
    """‘Natural Language Processing with Python’, the book about NLTK, is by Steven Lott."""
    cited = set("Steven Lott".split())
    shared = {author: cited & set(author.split()) for author in NLTK_BOOK.authors}
    assert cited not in shared.values()
    assert [author for author in NLTK_BOOK.authors if shared[author]] == ["Steven Bird"]
    return (f"The authors by {NLTK_BOOK.seen}: {', '.join(NLTK_BOOK.authors)}. The cited name "
            "shares the word Steven with one of them, and no surname.")


@card("references", "true", chapter="17", rows=["E118", "E119", "E120"],
      right="These three exist, by these authors. That is why invented references are hard to "
            "see: they stand between real ones.")
def three_real_books():
    """‘Deep Learning’ by Goodfellow, Bengio and Courville, ‘Speech and Language Processing’ by
    Jurafsky and Martin, and ‘Python Machine Learning’ by Raschka are real and rightly cited."""
    cited = {DEEP_LEARNING: ["Goodfellow", "Bengio", "Courville"],
             SPEECH: ["Jurafsky", "Martin"], PYTHON_ML: ["Raschka"]}
    for book, surnames in cited.items():
        assert [author.split()[-1] for author in book.authors] == surnames
        swapped = book.number[:-2] + book.number[-1] + book.number[-2]
        assert isbn_checks(book.number) and not isbn_checks(swapped)
    return ("All names agree with the listings: " + "; ".join(
        f"{book.title}, {book.year}, ISBN {book.number}" for book in cited) + ". Each number has "
        "the right check digit, and loses it if its last two digits change places.")


@card("references", "false", chapter="17", rows=["E121"],
      right="Give author, publisher and year: here Koki Saitoh, 2018, in Chinese with Posts and "
            "Telecom Press. For 《深度学习实战》, cited in the same way, we found no book of "
            "just that title, so which one was meant stays open.")
def a_title_alone():
    """The title 《深度学习入门》, introduction to deep learning, is enough to find the book."""
    listed = [SAITOH.title, "深度学习入门2：自制框架"]
    begin_so = [title for title in listed if title.startswith("深度学习入门")]
    assert len(begin_so) == 2 and "深度学习入门" not in listed and isbn_checks(SAITOH.number)
    return (f"Two books that we found begin with these characters, {' and '.join(begin_so)}, and "
            f"neither ends there. The ISBN {SAITOH.number} leaves the first.")


GRADIENT_FREE = r"without|free|zeroth|perturbation|evolution|annealing|genetic|forward passes"
COURSE = (
    "Multivariate stochastic approximation using a simultaneous perturbation gradient "
    "approximation",
    "Random gradient-free minimization of convex functions",
    "Evolution strategies as a scalable alternative to reinforcement learning",
    "Fine-tuning language models with just forward passes",
    "Gradients without backpropagation",
    "Optimization by simulated annealing",
)


@card("references", "false", chapter="16", rows=["E114", "E116"],
      right="A reference has to say what it is cited for. Jigsaw puzzles, dropout and "
            "textbooks are real, and no evidence for a method without gradients.")
def real_is_enough():
    """If every work in its list of references is real, an article on optimization without
    gradients is well supported."""
    real = [work.title for work in (WGAN, JIGSAW, DROPOUT, BERT, NLTK_BOOK, DEEP_LEARNING, SPEECH,
                                    PYTHON_ML)]
    on_topic, of_course = ([bool(re.search(GRADIENT_FREE, title.lower())) for title in titles]
                           for titles in (real, COURSE))
    assert not any(on_topic) and all(of_course)
    return (f"Of {len(real)} real works that such articles cite, {sum(on_topic)} name a method "
            f"without gradients in the title. Of {len(COURSE)} from this course's chapters 13 to "
            f"16, {sum(of_course)} do.")
