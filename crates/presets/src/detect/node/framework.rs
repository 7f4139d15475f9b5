//! What is known about the frameworks of Node, as a table.

use crate::Framework;

/// One framework.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) framework: Framework,
    /// Packages that mean it.
    pub(super) packages: &'static [&'static str],
    /// Configuration files that mean it, without their ending.
    pub(super) configs: &'static [&'static str],
    /// Scripts that start its server, the likeliest first.
    pub(super) scripts: &'static [&'static str],
    /// Its program in `node_modules/.bin`, and what that is told.
    pub(super) program: &'static str,
    pub(super) arguments: &'static str,
    /// Where its server listens.
    pub(super) port: u16,
    /// Variables that it needs, and why.
    pub(super) env: &'static [(&'static str, &'static str, &'static str)],
}

const NO_TELEMETRY: &str = "it sends nothing about what is done here";

/// Those that stand on others come first: a SvelteKit project has Vite too.
pub(super) const FRAMEWORKS: &[Family] = &[
    Family {
        framework: Framework::NextJs,
        packages: &["next"],
        configs: &["next.config"],
        scripts: &["dev", "start"],
        program: "next",
        arguments: "dev",
        port: 3000,
        env: &[("NEXT_TELEMETRY_DISABLED", "1", NO_TELEMETRY)],
    },
    Family {
        framework: Framework::Nuxt,
        packages: &["nuxt", "nuxt3"],
        configs: &["nuxt.config"],
        scripts: &["dev", "start"],
        program: "nuxt",
        arguments: "dev",
        port: 3000,
        env: &[("NUXT_TELEMETRY_DISABLED", "1", NO_TELEMETRY)],
    },
    Family {
        framework: Framework::Astro,
        packages: &["astro"],
        configs: &["astro.config"],
        scripts: &["dev", "start"],
        program: "astro",
        arguments: "dev",
        port: 4321,
        env: &[("ASTRO_TELEMETRY_DISABLED", "1", NO_TELEMETRY)],
    },
    Family {
        framework: Framework::SvelteKit,
        packages: &["@sveltejs/kit"],
        configs: &["svelte.config"],
        scripts: &["dev", "start"],
        program: "vite",
        arguments: "dev",
        port: 5173,
        env: &[],
    },
    Family {
        framework: Framework::ReactRouter,
        packages: &["@react-router/dev"],
        configs: &["react-router.config"],
        scripts: &["dev", "start"],
        program: "react-router",
        arguments: "dev",
        port: 5173,
        env: &[],
    },
    Family {
        framework: Framework::Remix,
        packages: &["@remix-run/dev"],
        configs: &["remix.config"],
        scripts: &["dev", "start"],
        program: "remix",
        arguments: "vite:dev",
        port: 5173,
        env: &[],
    },
    Family {
        framework: Framework::Angular,
        packages: &["@angular/cli", "@angular/core"],
        configs: &["angular.json"],
        scripts: &["start", "dev"],
        program: "ng",
        arguments: "serve",
        port: 4200,
        env: &[("NG_CLI_ANALYTICS", "false", "nobody is there to answer its question")],
    },
    Family {
        framework: Framework::Gatsby,
        packages: &["gatsby"],
        configs: &["gatsby-config"],
        scripts: &["develop", "dev", "start"],
        program: "gatsby",
        arguments: "develop",
        port: 8000,
        env: &[("GATSBY_TELEMETRY_DISABLED", "1", NO_TELEMETRY)],
    },
    Family {
        framework: Framework::CreateReactApp,
        packages: &["react-scripts"],
        configs: &[],
        scripts: &["start", "dev"],
        program: "react-scripts",
        arguments: "start",
        port: 3000,
        env: &[("BROWSER", "none", "there is no browser to open")],
    },
    Family {
        framework: Framework::VueCli,
        packages: &["@vue/cli-service"],
        configs: &["vue.config"],
        scripts: &["serve", "dev", "start"],
        program: "vue-cli-service",
        arguments: "serve",
        port: 8080,
        env: &[],
    },
    Family {
        framework: Framework::NestJs,
        packages: &["@nestjs/core"],
        configs: &["nest-cli.json"],
        scripts: &["start:dev", "dev", "start"],
        program: "nest",
        arguments: "start --watch",
        port: 3000,
        env: &[],
    },
    Family {
        framework: Framework::Vite,
        packages: &["vite", "rolldown-vite"],
        configs: &["vite.config"],
        scripts: &["dev", "start", "serve"],
        program: "vite",
        arguments: "",
        port: 5173,
        env: &[],
    },
    Family {
        framework: Framework::Parcel,
        packages: &["parcel"],
        configs: &[],
        scripts: &["dev", "start", "serve"],
        program: "parcel",
        arguments: "index.html",
        port: 1234,
        env: &[],
    },
];
