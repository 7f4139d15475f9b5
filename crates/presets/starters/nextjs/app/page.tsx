import { Greeting } from "./greeting";

export default function Home() {
  return (
    <main>
      <section>
        <p className="eyebrow">Next.js</p>
        <h1>A blank page, with the lights&nbsp;on.</h1>
        <p className="lead">
          Open <code>app/page.tsx</code>, change a word and save. This page follows without a reload.
        </p>
        <Greeting />
      </section>

      <dl>
        <div>
          <dt>A new page</dt>
          <dd>
            Make <code>app/about/page.tsx</code> and open <code>/about</code>.
          </dd>
        </div>
        <div>
          <dt>An answer for programs</dt>
          <dd>
            Make <code>app/api/hello/route.ts</code> and export a function <code>GET</code>.
          </dd>
        </div>
        <div>
          <dt>Colors and type</dt>
          <dd>
            They are in <code>app/globals.css</code>, for light and dark.
          </dd>
        </div>
        <div>
          <dt>The rest</dt>
          <dd>
            <a href="https://nextjs.org/docs">Read the documentation</a>.
          </dd>
        </div>
      </dl>
    </main>
  );
}
