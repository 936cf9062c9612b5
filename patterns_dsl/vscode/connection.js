"use strict";
// JSON-RPC over the stdin and stdout of a process, as the Language Server Protocol frames it.
const { spawn } = require("child_process");

class Connection {
  /** handlers: method -> function of the parameters; ended: function of what the server said last on stderr. */
  constructor([program, ...args], handlers, ended) {
    Object.assign(this, { handlers, waiting: new Map(), last: 0, bytes: Buffer.alloc(0), said: "" });
    this.server = spawn(program, args);
    this.server.stdout.on("data", (bytes) => this.receive(bytes));
    this.server.stderr.on("data", (bytes) => (this.said = (this.said + bytes).slice(-2000)));
    this.server.stdin.on("error", () => {});
    const end = (why) => {
      for (const { reject } of this.waiting.values()) reject(new Error("the language server has ended"));
      this.waiting.clear();
      if (ended) ended(why || this.said);
      ended = null;
    };
    this.server.on("error", (error) => end(error.message));
    this.server.on("exit", () => end(""));
  }

  send(message) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
    this.server.stdin.write(Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]));
  }

  notify(method, params) {
    this.send({ method, params });
  }

  request(method, params) {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  receive(bytes) {
    this.bytes = Buffer.concat([this.bytes, bytes]);
    for (;;) {
      const head = this.bytes.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(this.bytes.subarray(0, head).toString())[1]);
      if (this.bytes.length < head + 4 + length) return;
      const message = JSON.parse(this.bytes.subarray(head + 4, head + 4 + length).toString());
      this.bytes = this.bytes.subarray(head + 4 + length);
      this.dispatch(message);
    }
  }

  dispatch({ id, method, params, result, error }) {
    if (method) {
      if (this.handlers[method]) this.handlers[method](params);
      if (id !== undefined) this.send({ id, result: null });
    } else if (this.waiting.has(id)) {
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) reject(new Error(error.message));
      else resolve(result);
    }
  }
}

module.exports = { Connection };
