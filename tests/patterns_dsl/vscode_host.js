"use strict";
// As much of VS Code as the extension uses, in node: `node vscode_host.js EXTENSION COMMAND...` prints what it did.
const Module = require("module");

const [folder, ...command] = process.argv.slice(2);
const providers = {};
const listeners = {};
const shown = new Map();
let changed = () => {};
let errors = [];
let statusText = "";

class Range {
  constructor(a, b, c, d) {
    this.start = { line: a, character: b };
    this.end = { line: c, character: d };
  }
}
const value = (...names) =>
  class {
    constructor(...given) {
      names.forEach((name, place) => (this[name] = given[place]));
    }
  };
const listen = (name) => (listener) => ((listeners[name] = listener), { dispose() {} });
const provide = (name) => (selector, provider) => ((providers[name] = provider), { dispose() {} });
const documents = [];

const vscode = {
  Range,
  Location: value("uri", "range"),
  MarkdownString: value("value"),
  TextEdit: value("range", "newText"),
  Diagnostic: value("range", "message", "severity"),
  DiagnosticRelatedInformation: value("location", "message"),
  CompletionItem: value("label", "kind"),
  CompletionList: value("items", "isIncomplete"),
  SnippetString: value("value"),
  DocumentSymbol: value("name", "detail", "kind", "range", "selectionRange"),
  CodeAction: value("title", "kind"),
  CodeActionKind: { QuickFix: "quickfix" },
  Hover: value("contents", "range"),
  StatusBarAlignment: { Left: 1 },
  Uri: { parse: (text) => ({ toString: () => text }) },
  WorkspaceEdit: class {
    set(uri, edits) {
      this.edits = edits;
    }
  },
  languages: {
    createDiagnosticCollection: () => ({ set: (uri, found) => (shown.set(uri.toString(), found), changed()) }),
    registerHoverProvider: provide("hover"),
    registerCompletionItemProvider: provide("completion"),
    registerDefinitionProvider: provide("definition"),
    registerDocumentSymbolProvider: provide("symbols"),
    registerDocumentFormattingEditProvider: provide("formatting"),
    registerCodeActionsProvider: provide("actions"),
  },
  window: {
    createStatusBarItem: () => ({
      show: () => changed(),
      set text(words) {
        statusText = words;
      },
    }),
    showErrorMessage: (message) => errors.push(message),
  },
  workspace: {
    workspaceFolders: undefined,
    textDocuments: documents,
    getConfiguration: () => ({ get: () => command }),
    createFileSystemWatcher: () => ({ onDidCreate: listen("a"), onDidChange: listen("b"), onDidDelete: listen("c") }),
    onDidOpenTextDocument: listen("open"),
    onDidChangeTextDocument: listen("change"),
    onDidCloseTextDocument: listen("close"),
  },
  commands: { registerCommand: (name, run) => ((listeners.restart = run), { dispose() {} }) },
};

const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));

const document = {
  text: "",
  version: 0,
  languageId: "pat",
  uri: vscode.Uri.parse("untitled:host"),
  getText: () => document.text,
  write(text) {
    document.text = text;
    document.version += 1;
    listeners.change({ document });
  },
};
const until = (condition) =>
  new Promise((resolve) => {
    changed = () => condition() && resolve();
    changed();
  });
const codes = () => (shown.get("untitled:host") || []).map((one) => (one.code.value ? one.code.value : one.code));

async function main() {
  const extension = require(folder);
  document.text = "pattern p causal {\n    step loc(4)\n}\n";
  document.version = 1;
  documents.push(document);
  const context = { subscriptions: [] };
  await extension.activate(context);
  await until(() => codes().join() === "P201");
  const wrong = shown.get("untitled:host")[0];
  const [fix] = await providers.actions.provideCodeActions(document, wrong.range);
  document.write("pattern p causal {\n    step local(4) - self\n    prove nonempty\n}\n");
  await until(() => statusText.includes("1 do not"));
  const refuted = codes();
  document.write("pattern p causal {\n    step   local(4)\n    prove nonempty\n}\n");
  await until(() => statusText.includes("1 hold"));
  const hover = await providers.hover.provideHover(document, { line: 1, character: 12 });
  const completion = await providers.completion.provideCompletionItems(document, { line: 1, character: 14 });
  const local = completion.items.find((one) => one.label === "local");
  const definition = await providers.definition.provideDefinition(document, { line: 1, character: 12 });
  const symbols = await providers.symbols.provideDocumentSymbols(document);
  const edits = await providers.formatting.provideDocumentFormattingEdits(document, { tabSize: 4, insertSpaces: true });
  await listeners.restart();
  await until(() => codes().length === 0);
  const again = await providers.hover.provideHover(document, { line: 1, character: 12 });
  await extension.deactivate();
  console.log(
    JSON.stringify({
      wrong: { severity: wrong.severity, range: wrong.range, message: wrong.message },
      fix: { title: fix.title, edits: fix.edit.edits, preferred: fix.isPreferred },
      refuted,
      hover: hover.contents.value,
      local: { kind: local.kind, insert: local.insertText.value, range: local.range },
      definition: definition.uri.toString(),
      symbols: symbols.map((one) => one.name),
      formatted: edits[0].newText,
      again: again.contents.value,
      errors,
    })
  );
}

main();
