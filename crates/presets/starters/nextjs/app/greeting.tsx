"use client";

import { useState } from "react";

/** Runs in the browser: whatever has state does. The page around it is rendered on the server. */
export function Greeting() {
  const [name, setName] = useState("");

  return (
    <div className="greeting">
      <label htmlFor="name">Who builds here?</label>
      <input
        id="name"
        value={name}
        maxLength={40}
        autoComplete="given-name"
        placeholder="Your name"
        onChange={(event) => setName(event.target.value)}
      />
      <p role="status">{name.trim() ? `Good to have you, ${name.trim()}.` : " "}</p>
    </div>
  );
}
