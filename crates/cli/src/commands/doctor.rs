//! `sandbar doctor`: what this host offers and lacks.

use sandbar_api::{Doctor, Finding, Verdict, paths};

use crate::{
    context::Context,
    failure::{Code, Failure},
    output::visible,
};

/// Try out what sandboxes need on this host.
///
/// Says what is missing or weaker, and what to do about it. Exits with 1 when no sandbox can be made here.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar doctor --json")]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let doctor: Doctor =
        out.during("trying out the host", context.client.fetch(paths::DOCTOR)).await?;
    let code = match doctor.verdict {
        Verdict::Missing => Code::Unexpected as u8,
        Verdict::Ok | Verdict::Degraded => 0,
    };
    if out.is_json() {
        out.json(&doctor)?;
        return Ok(code);
    }
    for line in lines(&doctor.findings) {
        out.line(&line)?;
    }
    let ours = env!("CARGO_PKG_VERSION");
    if doctor.version != ours {
        out.say(&format!("the server is of version {}, this command line of {ours}; restart the server to use the new one", visible::line(&doctor.version)));
    }
    out.say(match doctor.verdict {
        Verdict::Missing => "this host cannot run sandboxes",
        Verdict::Degraded => "sandboxes work; what is weaker is marked above",
        Verdict::Ok => "sandboxes work",
    });
    Ok(code)
}

fn lines(findings: &[Finding]) -> Vec<String> {
    let width = findings.iter().map(|finding| finding.code.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in findings {
        let name = visible::line(&finding.code);
        lines.push(format!(
            "{:8} {name:width$}  {}",
            word(finding.verdict),
            visible::line(&finding.message)
        ));
        if let Some(hint) = &finding.hint {
            lines.push(format!("{:8} {:width$}  → {}", "", "", visible::line(hint)));
        }
    }
    lines
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Degraded => "weaker",
        Verdict::Missing => "MISSING",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_comes_first_and_a_hint_below() {
        let finding = |name: &str, verdict, hint: Option<&str>| Finding {
            code: name.to_owned(),
            verdict,
            message: "seen".to_owned(),
            hint: hint.map(str::to_owned),
        };
        let findings = [
            finding("cgroup", Verdict::Degraded, Some("delegate")),
            finding("user_namespaces", Verdict::Missing, None),
        ];
        assert_eq!(
            lines(&findings),
            [
                "weaker   cgroup           seen",
                "                          → delegate",
                "MISSING  user_namespaces  seen"
            ]
        );
    }
}
