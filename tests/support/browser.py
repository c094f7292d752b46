"""Pages asked in a headless Chromium."""

import json
import re
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


PROBE = """
<script>
window.errors = [];
window.addEventListener("error", event => errors.push(event.message));
document.addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective));
window.addEventListener("load", async () => {
  const found = {};
  const plots = [...document.querySelectorAll(".js-plotly-plot")];
  const marks = ".trace, .scatterlayer path, .hm image, .contour, .gl-container canvas";
  found.drawn = plots.map(plot => plot.querySelectorAll(marks).length);
  SCRIPT
  found.overflow = document.documentElement.scrollWidth - window.innerWidth;
  found.errors = errors;
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>
"""


def probed(page, folder, script, width=1200):
    """Opens a page in Chromium and asks it.

    Args:
      page: its text.
      folder: for temporary files.
      script: JavaScript that fills `found` with what is asked; it has `plots`.
      width: of the window, in pixels.

    Returns:
      `(found, console)`: what the script found, with `drawn`, `errors` and `overflow`; lines of the console.
    """
    probe = PROBE.replace("SCRIPT", script)
    path = folder / "probed.html"
    path.write_text(page.replace("<head>", f"<head>{probe}", 1), encoding="utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--no-first-run", "--use-gl=angle"),
            *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1000"),
            *("--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"),
            str(path),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    shutil.rmtree(folder / "profile", ignore_errors=True)
    advice = "Canvas2D: Multiple readback operations"  # the browser's, on speed
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line and advice not in line]
    return json.loads(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)[1]), console
