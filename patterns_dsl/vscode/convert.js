"use strict";
// The protocol's values as the editor's.
const vscode = require("vscode");

const range = ({ start, end }) => new vscode.Range(start.line, start.character, end.line, end.character);
const location = (found) => new vscode.Location(vscode.Uri.parse(found.uri), range(found.range));
const markdown = (found) => found && new vscode.MarkdownString(found.value);
const edit = (found) => new vscode.TextEdit(range(found.range), found.newText);

function diagnostic(found) {
  const made = new vscode.Diagnostic(range(found.range), found.message, found.severity - 1);
  const page = found.codeDescription;
  made.source = found.source;
  made.code = page ? { value: found.code, target: vscode.Uri.parse(page.href) } : found.code;
  made.relatedInformation = (found.relatedInformation || []).map(
    (one) => new vscode.DiagnosticRelatedInformation(location(one.location), one.message)
  );
  return made;
}

function item(found) {
  const made = new vscode.CompletionItem(found.label, found.kind - 1);
  const text = found.textEdit.newText;
  made.insertText = found.insertTextFormat === 2 ? new vscode.SnippetString(text) : text;
  made.range = range(found.textEdit.range);
  made.documentation = markdown(found.documentation);
  return Object.assign(made, { detail: found.detail, sortText: found.sortText, filterText: found.filterText });
}

function symbol(found) {
  const where = [range(found.range), range(found.selectionRange)];
  const made = new vscode.DocumentSymbol(found.name, found.detail || "", found.kind - 1, ...where);
  made.children = (found.children || []).map(symbol);
  return made;
}

function action(found) {
  const made = new vscode.CodeAction(found.title, vscode.CodeActionKind.QuickFix);
  made.edit = new vscode.WorkspaceEdit();
  for (const [uri, edits] of Object.entries(found.edit.changes)) made.edit.set(vscode.Uri.parse(uri), edits.map(edit));
  return Object.assign(made, { isPreferred: found.isPreferred, diagnostics: found.diagnostics.map(diagnostic) });
}

module.exports = { range, location, markdown, edit, diagnostic, item, symbol, action };
