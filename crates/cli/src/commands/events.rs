//! `sandbar events`: what happened, and what happens.

use sandbar_api::{Event, paths};
use sandbar_types::{AppId, EventType};

use crate::{
    client::lost,
    context::Context,
    failure::Failure,
    output::{Output, visible},
};

/// LIMIT: events of one page.
const PAGE_MAX: usize = 200;

/// Show what happened: the last events, the newest at the end.
///
/// With --json an array of events; with --follow as well, one event a line.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar events --follow\n  sandbar events --sandbox calm-bay --type approved --type rejected -n 20"
)]
pub(crate) struct Args {
    /// Go on with what happens.
    #[arg(long, short)]
    follow: bool,
    /// Only events of this app, by its id.
    #[arg(long, value_name = "APP")]
    app: Option<AppId>,
    /// Only events of this sandbox: its name, its id, or the beginning of one.
    #[arg(long, value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Only events of this type, for example `approved`; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<EventType>,
    /// At most so many of those that happened before.
    #[arg(short = 'n', value_name = "N", default_value_t = 50)]
    count: usize,
}

impl Args {
    /// The query that says it, to be gone on with.
    fn query(&self) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: &str| {
            query.push('&');
            query.push_str(name);
            query.push('=');
            query.push_str(&paths::escape(value.as_bytes()));
        };
        for kind in &self.types {
            add("type", kind.as_str());
        }
        if let Some(app) = self.app {
            add("app", &app.to_string());
        }
        if let Some(sandbox) = &self.sandbox {
            add("sandbox", sandbox);
        }
        query
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let query = args.query();
    let before = last(context, &query, args.count).await?;
    if out.is_json() && !args.follow {
        out.json(&before)?;
        return Ok(0);
    }
    for event in &before {
        show(out, event)?;
    }
    if args.follow {
        let after = before.last().map_or(0, |event| event.id);
        let after = if args.count == 0 { newest(context).await? } else { after };
        follow(context, &query, after).await?;
        // The stream of a sandbox ends with it; any other one ends with the server.
        if args.sandbox.is_none() {
            return Err(lost("the server ended the stream"));
        }
    }
    Ok(0)
}

/// The last `count` events, oldest first.
async fn last(context: &mut Context, query: &str, count: usize) -> Result<Vec<Event>, Failure> {
    let path = format!("{}?order=desc{query}", paths::EVENTS);
    let mut events: Vec<Event> = context.client.first(&path, count).await?;
    events.reverse();
    Ok(events)
}

/// The id of the last event of any kind.
async fn newest(context: &mut Context) -> Result<u64, Failure> {
    Ok(last(context, "", 1).await?.last().map_or(0, |event| event.id))
}

async fn follow(context: &mut Context, query: &str, after: u64) -> Result<(), Failure> {
    let path = format!("{}?limit={PAGE_MAX}{query}", paths::EVENTS);
    let mut events = context.client.feed(&path, after).await?;
    while let Some(event) = events.next().await? {
        let event: Event = serde_json::from_str(&event.data).map_err(|error| {
            Failure::unexpected("cannot understand an event of the server").caused_by(&error)
        })?;
        show(context.out, &event)?;
    }
    Ok(())
}

fn show(out: Output, event: &Event) -> Result<(), Failure> {
    if out.is_json() {
        let line = serde_json::to_string(event)
            .map_err(|error| Failure::unexpected("cannot write JSON").caused_by(&error))?;
        return Ok(out.line(&line)?);
    }
    Ok(out.line(&line(event))?)
}

/// One event in a line: when, about what, what, and more of it.
fn line(event: &Event) -> String {
    let subject = match (event.sandbox_id, event.app_id) {
        (Some(sandbox), _) => sandbox.to_string(),
        (None, Some(app)) => app.to_string(),
        (None, None) => "-".to_owned(),
    };
    let at = event.at.strftime("%Y-%m-%d %H:%M:%S");
    let mut line = format!("{at}\t{subject}\t{}", visible::line(&event.kind));
    if !event.data.is_null() {
        line.push('\t');
        line.push_str(&visible::line(event.data.to_string()));
    }
    line
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_a_sandbox_chose_cannot_move_the_cursor() {
        let event = Event {
            id: 7,
            at: Timestamp::constant(1_700_000_000, 0),
            app_id: None,
            sandbox_id: None,
            kind: "egress_denied".to_owned(),
            data: serde_json::json!({ "host": "a\u{1b}[2J\u{9b}" }),
        };
        let line = line(&event);
        assert!(line.starts_with("2023-11-14 22:13:20\t-\tegress_denied\t{"), "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains('\u{9b}'), "{line}");
    }
}
