"""The README's moving picture: the explorer of chapter 04 on a page of the site, moved by a hand.

    python -m zglearn site --out site && python docs/picture.py site docs/explorer.webp
"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import CHROMIUM, CHROMIUM_OPTIONS  # noqa: E402

SIZE = {"width": 940, "height": 860}
MS = 110  # a frame stands so long


def main(site: str, target: str) -> None:
    frames = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        page = browser.new_page(viewport=SIZE)
        page.goto((Path(site) / "chapters" / "04_momentum.html").resolve().as_uri())
        page.locator("[data-recording]").first.scroll_into_view_if_needed()
        widget = page.locator(".zg").first
        widget.locator("canvas").first.wait_for()
        widget.evaluate("e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 60)")

        box = widget.bounding_box()

        def take(count=1):
            for _ in range(count):
                page.wait_for_timeout(MS)
                picture = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")
                frames.append(picture.resize((picture.width * 4 // 5, picture.height * 4 // 5)))

        beta, rate = widget.get_by_role("slider", name="beta"), widget.get_by_role("slider").nth(1)
        take(6)
        for slider, key, steps in ((beta, "ArrowLeft", 18), (beta, "ArrowRight", 18),
                                   (rate, "ArrowRight", 12)):
            for _ in range(steps // 2):
                slider.press(key)
                slider.press(key)
                take()
        widget.get_by_role("button", name="to the start").click()
        widget.get_by_role("button", name="play").click()
        take(24)
        browser.close()
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=MS, loop=0,
                   quality=60, method=4)
    print(f"{target}: {len(frames)} frames, {Path(target).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
