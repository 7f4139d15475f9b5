//! `sandbar review`: a person decides, on the whole terminal.
//!
//! [`state`] is one value, [`update`] says what a key or an answer makes of it, [`draw`] paints it, and [`perform`]
//! alone asks the server. The loop here ties them to the terminal, so that keys are taken while an answer is awaited.

mod choice;
mod draw;
mod emphasis;
pub(crate) mod key;
mod layout;
mod perform;
#[cfg(test)]
mod sample;
mod state;
mod syntax;
mod text;
mod update;
mod words;

use std::io;

use crossterm::event::{self, EventStream};
use futures_util::StreamExt;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use sandbar_api::Sandbox;
use tokio::sync::mpsc;

use crate::{
    client::Client,
    context::Context,
    failure::{Code, Failure},
    output::visible,
    review::{
        draw::Theme,
        state::{Effect, Event, Size, State},
    },
    select,
    signals::{self, Stop},
    terminal::{self, FullScreen},
};

/// LIMIT: requests and answers that wait. The state asks for one thing at a time, and for the hunks of one file.
const QUEUED_MAX: usize = 8;

/// Reviews the changes of `sandbox` until the person leaves, and returns the exit code.
pub(crate) async fn review(sandbox: &Sandbox, context: &mut Context) -> Result<u8, Failure> {
    let theme = if context.out.is_colored() { Theme::Colored } else { Theme::Plain };
    let source = select::source_path(sandbox).map_or_else(
        || "nothing".to_owned(),
        |path| visible::line(path.as_os_str().as_encoded_bytes()),
    );
    let state = State::new(visible::line(sandbox.name.as_str()), source, size());
    let (jobs, waiting) = mpsc::channel(QUEUED_MAX);
    let (answers, answered) = mpsc::channel(QUEUED_MAX);
    context.client.hush();
    let id = sandbox.id.to_string();
    let source = select::source_path(sandbox).map(|path| path.as_os_str().as_encoded_bytes());
    let server = perform::Server { client: &mut context.client, sandbox: &id, source };
    tokio::select! {
        code = interact(state, theme, jobs, answered) => code,
        () = server.serve(waiting, answers) => unreachable!("the loop holds the other end until it returns"),
    }
}

fn size() -> Size {
    let size = terminal::size();
    Size { cols: size.cols, rows: size.rows }
}

type Screen = Terminal<CrosstermBackend<io::Stdout>>;

/// Takes keys, signals and answers one by one, until the end.
async fn interact(
    mut state: State,
    theme: Theme,
    jobs: mpsc::Sender<Effect>,
    mut answers: mpsc::Receiver<Event>,
) -> Result<u8, Failure> {
    let mut signals = signals::Stops::listen()?;
    let mut front = Front::open()?;
    send(&jobs, Effect::LoadChanges);
    loop {
        front.draw(&state, theme)?;
        let event = tokio::select! {
            stop = signals.next() => match stop {
                Stop::End(code) => return Ok(code),
                Stop::Suspend => {
                    front = front.suspend()?;
                    Event::Size(size())
                }
                Stop::Continue => {
                    front.again()?;
                    Event::Size(size())
                }
            },
            Some(answer) = answers.recv() => answer,
            key = front.keys.next() => match key {
                Some(Ok(event::Event::Key(key))) => match key::read(key) {
                    Some(key) => Event::Key(key),
                    None => continue,
                },
                Some(Ok(event::Event::Resize(cols, rows))) => Event::Size(Size { cols, rows }),
                Some(Ok(event::Event::FocusGained | event::Event::FocusLost)) => continue,
                Some(Ok(event::Event::Mouse(_) | event::Event::Paste(_))) => continue,
                // The terminal went away; there is nobody left to ask.
                Some(Err(_)) | None => return Ok(128 + signals::SIGHUP),
            },
        };
        let (next, effects) = update::update(state, event);
        state = next;
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(0),
                Effect::Redraw => front.again()?,
                Effect::Suspend => {
                    front = front.suspend()?;
                    state.size = size();
                }
                Effect::LoadChanges | Effect::LoadHunks(_) | Effect::Send(_) => send(&jobs, effect),
                Effect::AskLatestApprove | Effect::Undo(_) => send(&jobs, effect),
            }
        }
    }
}

/// Hands a request over. There is always room: the state asks for the next thing only after an answer.
fn send(jobs: &mpsc::Sender<Effect>, effect: Effect) {
    jobs.try_send(effect).expect("fewer requests are under way than the queue holds");
}

/// The terminal while it is ours.
struct Front {
    keys: EventStream,
    screen: Screen,
    /// Dropped last: then the terminal is as it was.
    full: FullScreen,
}

impl Front {
    fn open() -> Result<Self, Failure> {
        let full = FullScreen::enter().map_err(|error| broken(&error))?;
        Ok(Self { keys: EventStream::new(), screen: blank()?, full })
    }

    fn draw(&mut self, state: &State, theme: Theme) -> Result<(), Failure> {
        self.screen
            .draw(|frame| draw::draw(state, theme, frame.buffer_mut()))
            .map(drop)
            .map_err(|error| broken(&error))
    }

    /// After somebody else had the terminal: makes it ours again, and paints everything.
    fn again(&mut self) -> Result<(), Failure> {
        self.full.again().map_err(|error| broken(&error))?;
        // A new one rather than clearing it, which asks the terminal where the cursor is, and waits for keys to say so.
        self.screen = blank()?;
        Ok(())
    }

    /// Gives the terminal back and stops; returns when the shell lets us go on.
    fn suspend(self) -> Result<Self, Failure> {
        drop(self);
        signals::stop_here();
        Self::open()
    }
}

/// A screen that knows of nothing on it, so that the next picture is painted in full.
fn blank() -> Result<Screen, Failure> {
    Terminal::new(CrosstermBackend::new(io::stdout())).map_err(|error| broken(&error))
}

fn broken(error: &io::Error) -> Failure {
    Failure::unexpected("the terminal cannot be used").caused_by(error)
}

/// Refuses to begin where there is no terminal to review on, and says what does the same without one.
pub(crate) fn check_terminal() -> Result<(), Failure> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let why = match (terminal::is_interactive(), is_dumb) {
        (true, false) => return Ok(()),
        (true, true) => "this terminal cannot move its cursor (TERM)",
        (false, _) => "stdin and stdout are no terminal",
    };
    Err(Failure::new(Code::Usage, format!("a review needs a terminal: {why}")).hint(
        "without one: `sandbar changes --hunks`, `sandbar diff`, `sandbar approve --hunk PATH:ID`, `sandbar reject --hunk PATH:ID`",
    ))
}

impl Client {
    /// Says nothing from now on: the screen belongs to the review.
    fn hush(&mut self) {
        self.set_output(crate::output::Output::new(
            crate::output::Talk::Quiet,
            crate::output::Format::Text,
        ));
    }
}
