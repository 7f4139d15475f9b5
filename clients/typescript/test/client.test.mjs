// Asks the server of SANDBAR_SERVER everything that a program begins with, and compares.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SandbarError, connect, follow, unwrap } from "../dist/index.js";

const sandbar = connect();

test("a sandbox from its creation to its end", async () => {
  const create = () =>
    unwrap(
      sandbar.POST("/v1/sandboxes", {
        params: { header: { "Idempotency-Key": "typescript-client" } },
        body: { source: { kind: "empty" } },
      }),
    );
  const made = await create();
  assert.equal((await create()).id, made.id);
  assert.equal(made.state, "running");
  const path = { sandbox: made.id };
  await unwrap(
    sandbar.PUT("/v1/sandboxes/{sandbox}/files/content", {
      params: { path, query: { path: "a b/c?.txt" } },
      headers: { "content-type": "application/octet-stream" },
      body: "one two",
      bodySerializer: (body) => body,
    }),
  );
  const read = await unwrap(
    sandbar.GET("/v1/sandboxes/{sandbox}/files/content", {
      params: { path, query: { path: "a b/c?.txt" } },
      parseAs: "text",
    }),
  );
  assert.equal(read, "one two");
  const ran = await unwrap(
    sandbar.POST("/v1/sandboxes/{sandbox}/execs", {
      params: { path },
      body: { argv: ["cat", "a b/c?.txt"], wait: true },
    }),
  );
  assert.equal(ran.exit_code, 0);
  const stream = await unwrap(
    sandbar.GET("/v1/sandboxes/{sandbox}/events", {
      params: { path },
      headers: { accept: "text/event-stream" },
      parseAs: "stream",
    }),
  );
  const kinds = [];
  for await (const event of follow(stream)) {
    assert.equal(JSON.parse(event.data).type, event.event);
    if (kinds.push(event.event) === 2) break;
  }
  assert.deepEqual(kinds, ["created", "running"]);
  await unwrap(sandbar.DELETE("/v1/sandboxes/{sandbox}", { params: { path } }));
  await assert.rejects(unwrap(sandbar.GET("/v1/sandboxes/{sandbox}", { params: { path } })), (err) => {
    assert.ok(err instanceof SandbarError);
    assert.deepEqual([err.status, err.problem.code], [404, "sandbox_not_found"]);
    return true;
  });
});
