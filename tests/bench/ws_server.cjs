// The peer: a WebSocket server on the npm package `ws`, broadcasting as its documentation does.
const { WebSocketServer, WebSocket } = require("ws");
const readline = require("node:readline");

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
const answer = (value) => process.stdout.write(JSON.stringify(value) + "\n");

server.on("connection", (socket) => {
  socket.on("message", () => socket.send('{"type":"confirm_subscription"}'));
  socket.on("error", () => socket.terminate());
});
server.on("listening", () => answer({ port: server.address().port }));

function broadcast(count, text) {
  const started = process.hrtime.bigint();
  for (let round = 0; round < count; round += 1) {
    const data = Buffer.from(text);
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary: false });
    }
  }
  answer({ started: Number(started) });
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [verb, count, size] = line.split(" ");
  if (verb === "broadcast") broadcast(Number(count), "x".repeat(Number(size)));
  if (verb === "memory") answer({ bytes: process.memoryUsage().rss, connections: server.clients.size });
});
