"use strict";
// The page: what is drawn, which camera is large, what the server tells.
(function (argos) {
  const HISTORY = 300, EVENTS = 100, THEMES = ["auto", "dark", "light"];
  const by = (id) => document.getElementById(id);
  const grid = by("cameras");
  const tiles = new Map();
  const histories = new Map();

  const page = {
    layers: {},
    large: null,
    poor: false,
    editor: null,
    watch,
    open,
    toggleEditor,
  };

  argos.palette = [[255, 92, 88]];
  argos.semantic = [0, 214, 170];
  page.editor = new argos.Editor((camera) => tiles.get(camera)?.redraw());
  argos.makeCharts(by("charts"));

  // What is drawn: buttons and keys, remembered.
  const buttons = [...document.querySelectorAll("[data-layer]")];
  const stored = JSON.parse(localStorage.getItem("argos.layers") ?? "{}");
  for (const button of buttons) {
    const { layer } = button.dataset;
    page.layers[layer] = stored[layer] ?? button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", page.layers[layer]);
    button.title = `${button.textContent} (${button.dataset.key})`;
    button.onclick = () => {
      page.layers[layer] = !page.layers[layer];
      button.setAttribute("aria-pressed", page.layers[layer]);
      localStorage.setItem("argos.layers", JSON.stringify(page.layers));
      for (const tile of tiles.values()) tile.redraw();
    };
  }

  // Colours.
  const system = matchMedia("(prefers-color-scheme: light)");
  let theme = localStorage.getItem("argos.theme") ?? "auto";
  function applyTheme() {
    const light = theme === "light" || (theme === "auto" && system.matches);
    document.documentElement.dataset.theme = light ? "light" : "dark";
    by("theme").textContent = { auto: "Auto", dark: "Dark", light: "Light" }[theme];
    by("theme").setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system" : theme}`);
    drawCharts();
  }
  by("theme").onclick = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem("argos.theme", theme);
    applyTheme();
  };
  system.addEventListener("change", applyTheme);

  function drawCharts() {
    const shown = page.large ? [page.large.camera] : [...tiles.keys()];
    argos.updateCharts(shown.map((camera) => histories.get(camera) ?? []));
    by("subject").textContent = page.large ? page.large.camera : tiles.size === 1 ? "Figures" : "All cameras";
  }

  // One camera large, or all.
  function open(tile) {
    page.editor.close();
    page.large?.root.classList.remove("large");
    page.large = tile;
    tile?.root.classList.add("large");
    grid.classList.toggle("one", tile !== null);
    const wanted = tile ? `#${tile.camera}` : " ";
    if (location.hash !== wanted.trim()) history.replaceState(null, "", tile ? wanted : location.pathname);
    for (const other of tiles.values()) {
      other.describe();
      other.redraw();
    }
    tile?.stage.focus({ preventScroll: true });
    drawCharts();
    watch();
  }

  function toggleEditor(tile) {
    if (page.editor.active) page.editor.close();
    else {
      page.editor.open(tile.camera, tile.stage);
      if (!page.layers.zones) document.querySelector('[data-layer="zones"]').click();
      by("editor").scrollIntoView({ block: "nearest" });
    }
    tile.redraw();
  }

  function watch() {
    connection?.watch();
  }

  function watched() {
    const wanted = {};
    if (document.hidden) return wanted;
    for (const tile of tiles.values()) if (tile.visible && tile.width && (!page.large || tile.isLarge)) wanted[tile.camera] = tile.width;
    return wanted;
  }
  document.addEventListener("visibilitychange", () => {
    watch();
    for (const tile of tiles.values()) tile.askIfPoor();
  });

  // One tile for each camera, in order; those that stay keep what they remember, and the focus.
  function place(cameras) {
    const before = new Map(tiles);
    tiles.clear();
    for (const camera of cameras) tiles.set(camera, before.get(camera) ?? new argos.Tile(camera, page));
    for (const [camera, tile] of before) if (!tiles.has(camera)) tile.root.remove();
    cameras.forEach((camera, n) => {
      const { root } = tiles.get(camera);
      if (grid.children[n] !== root) grid.insertBefore(root, grid.children[n] ?? null);
    });
    grid.dataset.count = tiles.size;
  }

  // The time of an event; with its day where that is not today.
  function timeOf(when) {
    return when.toDateString() === new Date().toDateString() ? when.toLocaleTimeString() : when.toLocaleString();
  }

  // What the server tells.
  const told = {
    hello(message) {
      if (!message.poor) {
        [argos.palette, argos.semantic] = [message.palette, message.semantic];
        page.editor.configure(message.shapes);
        histories.clear();
        for (const [camera, rows] of Object.entries(message.history)) histories.set(camera, rows);
        by("events").replaceChildren();
      }
      by("about").textContent = `ARGOS ${message.version}, run ${message.run}. ${Object.entries(message.models)
        .map(([role, model]) => `${role}: ${model.split("@")[0]}`)
        .join(", ")}`;
      if ([...tiles.keys()].join() !== message.cameras.join()) {
        place(message.cameras);
        document.title = tiles.size === 1 ? `${message.cameras[0]} - ARGOS` : `${tiles.size} cameras - ARGOS`;
        if (!tiles.has(page.large?.camera)) open(tiles.get(location.hash.slice(1)) ?? null);
        else page.large.describe();
      }
      drawCharts();
    },
    state(message) {
      for (const [camera, state] of Object.entries(message.cameras)) {
        tiles.get(camera)?.setState(state, message.t_ns);
        const { fps_in, fps_out, age_ms, share, people } = state.figures, rows = histories.get(camera) ?? [];
        const row = [message.t_ns / 1e9, fps_in, fps_out, age_ms, share, people], last = rows[rows.length - 1];
        if (last && row[0] - last[0] < 0.7) continue; // a change of state between two samples
        rows.push(row);
        if (rows.length > HISTORY) rows.shift();
        histories.set(camera, rows);
      }
      drawCharts();
    },
    events(message) {
      const list = by("events");
      for (const event of message.events) {
        const item = document.createElement("li"), time = document.createElement("time"), camera = document.createElement("b");
        const when = new Date(event.t_ns / 1e6);
        [time.textContent, time.dateTime] = [timeOf(when), when.toISOString()];
        [camera.textContent, item.dataset.type] = [event.camera, event.type];
        item.append(time, camera, ` ${event.type} ${event.text ?? ""}`);
        list.prepend(item);
      }
      while (list.children.length > EVENTS) list.lastChild.remove();
    },
  };

  applyTheme();
  const connection = new argos.Connection(
    {
      link(words) {
        by("link").dataset.link = words;
        by("link").querySelector(".words").textContent = words;
        grid.classList.toggle("old", words !== "live" && words !== "pictures only");
        const poor = words === "pictures only";
        if (poor === page.poor) return;
        page.poor = poor;
        for (const tile of tiles.values()) {
          tile.askIfPoor();
          tile.redraw();
        }
      },
      message: (message) => told[message.kind]?.(message),
      picture: (camera, bitmap, result) => tiles.get(camera)?.show(bitmap, result),
    },
    watched,
  );

  // Keys.
  by("help-open").onclick = () => by("help").showModal();
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea"), pressing = event.target.matches("button");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || by("help").open) return;
    if (event.key.startsWith("Arrow") && event.target.matches("#yaml, #events")) return; // they scroll
    if (!(pressing && (event.key === "Enter" || event.key === " ")) && page.editor.key(event)) return event.preventDefault();
    const list = [...tiles.values()], at = list.indexOf(page.large);
    const button = buttons.find(({ dataset }) => dataset.key === event.key);
    if (button) button.click();
    else if (/^[1-9]$/.test(event.key) && list[event.key - 1]) open(list[event.key - 1]);
    else if (event.key === "Escape" && page.editor.active) page.editor.close();
    else if (event.key === "Escape" && page.large) {
      const { stage } = page.large;
      open(null);
      stage.focus();
    } else if ((event.key === "Enter" || event.key === " ") && event.target.matches(".stage")) event.target.click();
    else if (page.large && event.key === "ArrowRight") open(list[(at + 1) % list.length]);
    else if (page.large && event.key === "ArrowLeft") open(list[(at - 1 + list.length) % list.length]);
    else if (page.large && event.key === "e") toggleEditor(page.large);
    else if (event.key === "?") by("help").showModal();
    else return;
    event.preventDefault();
  });
})((window.argos ??= {}));
