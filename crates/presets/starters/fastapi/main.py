"""The app. Save this file and the server starts again by itself."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

HERE = Path(__file__).parent

app = FastAPI(title="My API", description="A FastAPI app, ready to become yours.")
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


class Greeting(BaseModel):
    message: str


@app.get("/", include_in_schema=False)
def home() -> FileResponse:
    return FileResponse(HERE / "static" / "index.html")


@app.get("/health")
def health() -> dict[str, str]:
    """Answers as long as the server serves; keep it free of work."""
    return {"status": "ok"}


@app.get("/api/hello/{name}")
def hello(name: str) -> Greeting:
    """An example to replace."""
    return Greeting(message=f"Hello, {name}.")
