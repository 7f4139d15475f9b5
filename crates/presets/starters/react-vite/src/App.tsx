import { useState } from "react";

import { Horizon } from "./Horizon";

export function App() {
  const [hour, setHour] = useState(9);

  return (
    <main>
      <Horizon hour={hour} />
      <p className="eyebrow">React + Vite</p>
      <h1>It runs. Now make it&nbsp;yours.</h1>
      <p className="lead">
        Open <code>src/App.tsx</code>, change a word and save. This page follows without a reload.
      </p>

      <div className="dial">
        <label htmlFor="hour">Time of day</label>
        <input
          id="hour"
          type="range"
          min={5}
          max={21}
          value={hour}
          aria-valuetext={`${hour} o’clock`}
          onChange={(event) => setHour(Number(event.target.value))}
        />
        <output htmlFor="hour">{String(hour).padStart(2, "0")}:00</output>
      </div>

      <ul className="next">
        <li>
          <code>src/index.css</code> has the colors, for light and dark.
        </li>
        <li>
          <code>public/</code> is served as it is.
        </li>
        <li>
          <a href="https://react.dev/learn">Learn React</a> or read the{" "}
          <a href="https://vite.dev/guide/">guide to Vite</a>.
        </li>
      </ul>
    </main>
  );
}
