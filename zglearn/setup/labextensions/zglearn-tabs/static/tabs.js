// Tabs of exercises and solutions say so: a chapter's three notebooks have one file name.
//
// This is a prebuilt extension of JupyterLab, written by hand: package.json names this file, and
// JupyterLab asks the container at its end for the plugin.
{
  const FOLDERS = ["exercises", "solutions"]; // a chapter's tab has its plain name
  const KEY = "zglearn-folder";

  // The words are drawn by CSS and the label stays: to set it would rename the file.
  // They stand first, so that a narrow tab cuts off the end of the name and not them.
  const css = FOLDERS.map(folder =>
    `.lm-TabBar-tab[data-${KEY}="${folder}"] > .lm-TabBar-tabLabel::before` +
    ` { content: "${folder} · "; }`).join("\n");

  const sayFolder = (widget, context) => {
    const folder = FOLDERS.find(folder => context.localPath?.startsWith(`${folder}/`));
    const { [KEY]: _, ...dataset } = widget.title.dataset;
    widget.title.dataset = folder ? { ...dataset, [KEY]: folder } : dataset;
  };

  const everyDocument = {
    createNew(widget, context) {
      sayFolder(widget, context);
      context.pathChanged.connect(() => sayFolder(widget, context), widget);
    },
  };

  const plugin = {
    id: "zglearn-tabs:plugin",
    autoStart: true,
    activate({ docRegistry }) {
      if (!docRegistry?.addWidgetExtension || !docRegistry.widgetFactories) return;
      document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
      for (const { name } of docRegistry.widgetFactories()) {
        docRegistry.addWidgetExtension(name, everyDocument);
      }
      docRegistry.changed.connect((_, { type, name, change }) => {
        if (type === "widgetFactory" && change === "added") {
          docRegistry.addWidgetExtension(name, everyDocument);
        }
      });
    },
  };

  (window._JUPYTERLAB ??= {})["zglearn-tabs"] = { init() {}, get: async () => () => plugin };
}
