/** A client of Sandbar's API, typed from its document. */

import { createParser } from "eventsource-parser";
import createClient, { type Client } from "openapi-fetch";
import { Agent, Request as AgentRequest, fetch as agentFetch } from "undici";

import type { components, paths } from "./schema.js";

export type { components, paths } from "./schema.js";

/** A problem that the server tells of (RFC 9457); `code` is stable, see docs/errors.md. */
export type Problem = components["schemas"]["Problem"];

/** One event of a stream; `data` is JSON. */
export type ServerSentEvent = components["schemas"]["ServerSentEvent"];

/** The schemas of the document, by name. */
export type Schemas = components["schemas"];

export interface Options {
  /** `unix:PATH` or `http://HOST:PORT`; that of `SANDBAR_SERVER` when absent. */
  server?: string;
  /** An API key, or what the token file holds; that of `SANDBAR_TOKEN` when absent. The socket wants none. */
  token?: string;
}

/** Thrown by {@link unwrap}. */
export class SandbarError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(`${status} ${problem.code}: ${problem.message}`);
    this.name = "SandbarError";
  }
}

/** Connects to a server. Nothing is sent before something is asked. */
export function connect(options: Options = {}): Client<paths> {
  const server = options.server ?? process.env["SANDBAR_SERVER"];
  if (server === undefined) {
    throw new TypeError("which server? give `server`, or set SANDBAR_SERVER");
  }
  const token = options.token ?? process.env["SANDBAR_TOKEN"];
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  if (!server.startsWith("unix:")) {
    return createClient<paths>({ baseUrl: server, headers });
  }
  // The fetch of Node takes no socket, and no agent of another version of undici than its own.
  const dispatcher = new Agent({ connect: { socketPath: server.slice("unix:".length) } });
  return createClient<paths>({
    baseUrl: "http://localhost",
    headers,
    Request: AgentRequest as unknown as typeof Request,
    fetch: ((request: AgentRequest) => agentFetch(request, { dispatcher })) as unknown as typeof fetch,
  });
}

/** Returns the data of an answer, or throws what the server tells of. */
export async function unwrap<T>(
  answer: Promise<{ data?: T; error?: unknown; response: { status: number } }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (error !== undefined) {
    throw new SandbarError(response.status, error as Problem);
  }
  return data as T;
}

/** Yields the events of an answer that was asked for with `accept: text/event-stream` and `parseAs: "stream"`. */
export async function* follow(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const events: ServerSentEvent[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) => {
      events.push({ event: event ?? "message", data, ...(id === undefined ? {} : { id }) });
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      parser.feed(decoder.decode(value, { stream: true }));
      yield* events.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
