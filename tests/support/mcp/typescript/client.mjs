// One call by the official TypeScript SDK: the first argument says which, as JSON. Prints what came of it, as JSON.
// Each request goes to the next of the given servers, as behind a Service.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const { urls, token, tool, args, meta, link } = JSON.parse(process.argv[2]);
const links = [];
let turn = 0;

function inTurn(url, init) {
  const next = new URL(url);
  next.port = new URL(urls[turn++ % urls.length]).port;
  return fetch(next, init);
}

const capabilities = link === null ? {} : { elicitation: { url: {} } };
const client = new Client(
  { name: "typescript", version: "1" },
  { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } },
);
if (link !== null) {
  client.setRequestHandler("elicitation/create", async (request) => {
    links.push(request.params);
    return { action: link };
  });
}
const headers = { Authorization: `Bearer ${token}` };
const transport = new StreamableHTTPClientTransport(new URL(urls[0]), { fetch: inTurn, requestInit: { headers } });
await client.connect(transport);
let outcome;
try {
  const result = await client.callTool({ name: tool, arguments: args, _meta: meta });
  outcome = { text: result.content[0].text };
} catch (error) {
  outcome = { code: error.code, data: error.data, message: error.message };
}
console.log(JSON.stringify({ ...outcome, links, requests: turn }));
await client.close();
