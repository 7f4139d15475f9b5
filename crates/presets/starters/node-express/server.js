import express from "express";

const app = express();
const host = process.env.HOST ?? "127.0.0.1";
const port = Number(process.env.PORT ?? 3000);

app.disable("x-powered-by");
app.use(express.json({ limit: "1mb" }));
app.use(express.static("public"));

// Answers as long as the server serves; keep it free of work.
app.get("/health", (_request, response) => {
  response.json({ status: "ok" });
});

app.get("/api/tide", (_request, response) => {
  const hour = new Date().getHours();
  response.json({ tide: hour % 12 < 6 ? "rising" : "falling", hour });
});

app.use((request, response) => {
  response.status(404).json({ error: `nothing at ${request.path}` });
});

app.use((error, _request, response, next) => {
  if (response.headersSent) {
    next(error);
    return;
  }
  const status = error.status ?? 500;
  if (status >= 500) {
    console.error(error);
  }
  response.status(status).json({ error: status >= 500 ? "something went wrong" : error.message });
});

const server = app.listen(port, host, (error) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  console.log(`listening on http://${host}:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
