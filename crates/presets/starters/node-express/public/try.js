const form = document.querySelector("#try");
const answer = document.querySelector("#answer");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const path = new URL(form.elements.path.value, location.origin).pathname;
    const response = await fetch(path);
    const type = response.headers.get("content-type") ?? "";
    const body = type.includes("json") ? JSON.stringify(await response.json(), null, 2) : await response.text();
    answer.textContent = `${response.status} ${response.statusText}\n\n${body}`;
  } catch (error) {
    answer.textContent = error.message;
  }
});
