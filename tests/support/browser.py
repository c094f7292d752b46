"""Pages looked at in a headless Chromium."""

import html
import json
import re
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# In a page before its own scripts: catches what goes wrong there.
_CATCH = """<script>
window.errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("unhandledrejection", event => errors.push(String(event.reason)));
document.addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective));
window.look = async () => {
  const found = {};
  LOOK
  return found;
};
</script>"""

# What there is to see in a page.
_LOOK = """
const plots = [...document.querySelectorAll(".plot")];
const box = element => element.getBoundingClientRect();
const marks = ".trace, .scatterlayer path, .hm image, .contour, .gl-container canvas";
const texts = ".title, .xtitle, .ytitle, .xtick text, .ytick text, .annotation-text, .annotation text";
const overlap = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
const luminance = colour => {
  const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const contrast = (a, b) => {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
};
found.drawn = plots.map(plot => plot.querySelectorAll(marks).length);
found.overlaps = plots.flatMap(plot => {
  const shown = [...plot.parentElement.querySelectorAll(texts)].filter(
    each => each.textContent && box(each).width
  );
  return shown.flatMap((one, i) => shown.slice(i + 1).filter(
    other => !one.contains(other) && !other.contains(one) && overlap(box(one), box(other))
  ).map(other => `${one.textContent} | ${other.textContent}`));
});
found.cut = plots.flatMap(plot => [...plot.querySelectorAll(".xtitle, .ytitle")].filter(each =>
  box(each).left < box(plot).left - 1 || box(each).right > box(plot).right + 1
  || box(each).top < box(plot).top - 1 || box(each).bottom > box(plot).bottom + 1
).map(each => each.textContent));
const paper = getComputedStyle(document.body).backgroundColor;
const inks = [...document.querySelectorAll("p, td, .xtick text, .xtitle")].map(each =>
  contrast(getComputedStyle(each)[each.closest("svg") ? "fill" : "color"], paper));
found.contrast = Math.min(...inks);
found.paper = paper;
found.overflow = document.documentElement.scrollWidth - innerWidth;
const answer = document.querySelector(".answer");
found.answer = answer ? box(answer).bottom / innerHeight : null;
found.picture = plots.length ? box(plots[0]).top / innerHeight : null;
found.errors = errors;
"""

# Opens one page after the other in a frame as wide as a screen.
_HARNESS = """<!DOCTYPE html><meta charset="utf-8"><body style="margin: 0"><script type="module">
const jobs = JOBS;
const found = [];
for (const {text, width, height, scheme} of jobs) {
  const frame = document.createElement("iframe");
  frame.style = `border: 0; color-scheme: ${scheme}; height: ${height}px; width: ${width}px`;
  frame.srcdoc = text;
  const loaded = new Promise(done => frame.addEventListener("load", done));
  document.body.append(frame);
  await loaded;
  const own = frame.contentWindow;
  for (let i = 0; i < 300 && !own.document.documentElement.dataset.drawn; i++) {
    await new Promise(done => setTimeout(done, 100));
  }
  found.push(await own.look());
  frame.remove();
}
const out = document.createElement("pre");
out.id = "probe";
out.textContent = JSON.stringify(found);
document.body.append(out);
</script>"""

PHONE, DESK = (390, 844), (1280, 900)


def looked_at(pages, folder):
    """Opens pages in one Chromium and looks at them.

    Args:
      pages: a list of `(path, screen, scheme, script)`: of the page, `PHONE` or `DESK`, "light" or "dark",
        and JavaScript that fills `found` with what else is asked, once all is drawn; it has `plots`.
      folder: for temporary files.

    Returns:
      `(seen, console)`: a dict for each page; lines of the console. Of a dict: `errors` of scripts; `drawn`,
      marks in each plot; `overlaps`, pairs of texts; titles that are `cut`; `contrast` of the palest text
      with the `paper`; `overflow` in pixels; where the `answer` ends and the first `picture` begins, in
      heights of the screen.
    """
    jobs = [
        {
            "text": path.read_text(encoding="utf-8").replace(
                "<head>", "<head>" + _CATCH.replace("LOOK", f"{_LOOK}\n{script}"), 1
            ),
            "width": screen[0],
            "height": screen[1],
            "scheme": scheme,
        }
        for path, screen, scheme, script in pages
    ]
    harness = folder / "harness.html"
    harness.write_text(_HARNESS.replace("JOBS", json.dumps(jobs).replace("<", "\\u003c")), encoding="utf-8")
    done = subprocess.run(
        [
            *(
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--no-first-run",
                "--use-gl=angle",
                "--hide-scrollbars",
            ),
            *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'profile'}", f"--window-size={DESK[0]},{DESK[1]}"),
            *("--virtual-time-budget=600000", "--enable-logging=stderr", "--dump-dom", str(harness)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    shutil.rmtree(folder / "profile", ignore_errors=True)
    advice = "Canvas2D: Multiple readback operations"  # the browser's, on speed
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line and advice not in line]
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)
    assert found, console
    return json.loads(html.unescape(found[1])), console
