(() => {
  "use strict";
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  // Where nothing hovers Plotly's buttons would always stand in the picture.
  const buttons = matchMedia("(hover: hover)").matches ? "hover" : false;
  const settings = {responsive: true, displaylogo: false, displayModeBar: buttons};
  const read = id => document.getElementById(id).textContent;
  const plots = [...document.querySelectorAll(".plot")];
  const hidden = new WeakMap(); // names that a figure's legend hides

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  // Draws a plot, or draws it again, in the colours of the page and without what its legend hides.
  function draw(plot, isDark) {
    const text = read(plot.id + "-figure").replaceAll('"#000000"', isDark ? '"#e6edf3"' : '"#1b1f24"');
    const {data, layout} = JSON.parse(text);
    layout.template = JSON.parse(read("plotly-templates"))[isDark ? "dark" : "light"];
    const names = hidden.get(plot.closest("figure"));
    for (const trace of data) trace.visible = !(names && names.has(trace.legendgroup || trace.name));
    return Plotly.react(plot, data, layout, settings);
  }

  const drawAll = isDark => Promise.all(plots.map(plot => draw(plot, isDark)));

  // Turns all surfaces of a figure with the one that is turned.
  function turnTogether(figure) {
    const scenes = [...figure.querySelectorAll(".plot")].filter(plot => plot._fullLayout.scene);
    let turning = false;
    for (const plot of scenes) {
      plot.on("plotly_relayout", change => {
        const camera = change["scene.camera"];
        if (!camera || turning) return;
        turning = true;
        const others = scenes.filter(other => other !== plot);
        Promise.all(others.map(other => Plotly.relayout(other, {"scene.camera": camera})))
          .finally(() => { turning = false; });
      });
    }
  }

  // A click on a name hides or shows it, a double click shows it alone or all of them.
  function startLegend(figure) {
    const buttons = [...figure.querySelectorAll(".legend button")];
    const names = new Set();
    hidden.set(figure, names);
    const update = () => {
      buttons.forEach(each => each.setAttribute("aria-pressed", !names.has(each.dataset.name)));
      figure.querySelectorAll(".plot").forEach(plot => draw(plot, scheme.matches));
    };
    for (const button of buttons) {
      const name = button.dataset.name;
      button.addEventListener("click", () => {
        if (!names.delete(name)) names.add(name);
        update();
      });
      button.addEventListener("dblclick", () => {
        const isAlone = names.size === buttons.length - 1 && !names.has(name);
        names.clear();
        if (!isAlone) buttons.forEach(each => each === button || names.add(each.dataset.name));
        update();
      });
    }
  }

  function markWideTables() {
    for (const box of document.querySelectorAll(".scroll")) {
      box.toggleAttribute("data-wide", box.scrollWidth > box.clientWidth + 1);
    }
  }

  async function start() {
    markWideTables();
    addEventListener("resize", markWideTables);
    document.querySelectorAll("details").forEach(each => each.addEventListener("toggle", markWideTables));
    addEventListener("beforeprint", () => {
      document.querySelectorAll("details").forEach(each => { each.open = true; });
    });
    if (!plots.length) return;
    const script = document.createElement("script");
    script.textContent = await unpacked(read("plotly-js"));
    document.head.append(script);
    const figures = [...new Set(plots.map(plot => plot.closest("figure")))];
    figures.forEach(startLegend);
    await drawAll(scheme.matches);
    figures.forEach(turnTogether);
    scheme.addEventListener("change", () => drawAll(scheme.matches));
    addEventListener("beforeprint", () => drawAll(false));
    addEventListener("afterprint", () => drawAll(scheme.matches));
  }

  start().then(
    () => { document.documentElement.dataset.drawn = "yes"; },
    error => {
      plots.forEach(plot => { plot.textContent = "This picture needs a browser of 2023 or later."; });
      throw error;
    }
  );
})();
