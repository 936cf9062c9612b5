"use strict";
// A language client for `patternc lsp` that needs nothing but the editor itself.
const vscode = require("vscode");
const { Connection } = require("./connection");
const { range, location, markdown, edit, diagnostic, item, symbol, action } = require("./convert");

const LANGUAGE = { language: "pat" };

let connection = null;
let ready = Promise.resolve();

async function ask(method, params, convert) {
  await ready;
  const found = connection && (await connection.request(`textDocument/${method}`, params));
  return found ? convert(found) : undefined;
}

const at = (document, position) => ({ textDocument: { uri: document.uri.toString() }, position });
const about = (document) => ({ textDocument: { uri: document.uri.toString() } });
const whole = (document) => ({ uri: document.uri.toString(), version: document.version, text: document.getText() });

async function tell(document, method, params) {
  await ready;
  if (connection && document.languageId === "pat") connection.notify(`textDocument/${method}`, params);
}

const opened = (document) => tell(document, "didOpen", { textDocument: { ...whole(document), languageId: "pat" } });
const changed = ({ document }) =>
  tell(document, "didChange", { textDocument: whole(document), contentChanges: [{ text: document.getText() }] });

async function start(found, status) {
  const root = ((vscode.workspace.workspaceFolders || [])[0] || { uri: { fsPath: "." } }).uri.fsPath;
  const command = vscode.workspace.getConfiguration("patternc").get("command");
  const handlers = {
    "textDocument/publishDiagnostics": ({ uri, diagnostics }) =>
      found.set(vscode.Uri.parse(uri), diagnostics.map(diagnostic)),
    "$/patternc/checked": ({ proved, checked, refuted, unknown }) => {
      status.text = `patternc: ${proved + checked} hold, ${refuted} do not, ${unknown} undecided`;
      status.show();
    },
  };
  const made = new Connection(command.map((part) => part.replace("${workspaceFolder}", root)), handlers, (why) => {
    if (connection === made) connection = null;
    if (!made.stopped) vscode.window.showErrorMessage(`${command.join(" ")} has ended: ${why}`);
  });
  connection = made;
  const completion = { completionItem: { snippetSupport: true } };
  const capabilities = { textDocument: { completion }, general: { positionEncodings: ["utf-16"] } };
  await made.request("initialize", { processId: process.pid, rootUri: null, capabilities });
  made.notify("initialized", {});
}

async function stop() {
  const made = connection;
  connection = null;
  if (!made) return;
  made.stopped = true;
  await made.request("shutdown").catch(() => {});
  made.notify("exit");
}

function activate(context) {
  const found = vscode.languages.createDiagnosticCollection("patternc");
  const status = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Left);
  const run = () => {
    ready = start(found, status).catch(() => {}); // how it ended has been said
    vscode.workspace.textDocuments.forEach(opened);
    return ready;
  };
  const files = vscode.workspace.createFileSystemWatcher("**/*.pat");
  const written = (type) => (uri) =>
    connection && connection.notify("workspace/didChangeWatchedFiles", { changes: [{ uri: uri.toString(), type }] });
  const { languages, workspace } = vscode;
  const completed = (found) => new vscode.CompletionList(found.items.map(item), found.isIncomplete);
  const options = ({ tabSize, insertSpaces }) => ({ options: { tabSize, insertSpaces } });
  context.subscriptions.push(
    found,
    status,
    files,
    files.onDidCreate(written(1)),
    files.onDidChange(written(2)),
    files.onDidDelete(written(3)),
    workspace.onDidOpenTextDocument(opened),
    workspace.onDidChangeTextDocument(changed),
    workspace.onDidCloseTextDocument((document) => tell(document, "didClose", about(document))),
    vscode.commands.registerCommand("patternc.restart", () => stop().then(run)),
    languages.registerHoverProvider(LANGUAGE, {
      provideHover: (document, position) =>
        ask("hover", at(document, position), (found) => new vscode.Hover(markdown(found.contents), range(found.range))),
    }),
    languages.registerCompletionItemProvider(
      LANGUAGE,
      { provideCompletionItems: (document, position) => ask("completion", at(document, position), completed) },
      ...['"', ".", "(", "["]
    ),
    languages.registerDefinitionProvider(LANGUAGE, {
      provideDefinition: (document, position) => ask("definition", at(document, position), location),
    }),
    languages.registerDocumentSymbolProvider(LANGUAGE, {
      provideDocumentSymbols: (document) => ask("documentSymbol", about(document), (found) => found.map(symbol)),
    }),
    languages.registerDocumentFormattingEditProvider(LANGUAGE, {
      provideDocumentFormattingEdits: (document, given) =>
        ask("formatting", { ...about(document), ...options(given) }, (found) => found.map(edit)),
    }),
    languages.registerCodeActionsProvider(LANGUAGE, {
      provideCodeActions: (document, where) =>
        ask("codeAction", { ...about(document), range: where, context: { diagnostics: [] } }, (found) =>
          found.map(action)
        ),
    })
  );
  return run();
}

module.exports = { activate, deactivate: stop };
