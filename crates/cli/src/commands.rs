//! One file for each command.

pub(crate) mod agents;
pub(crate) mod app;
pub(crate) mod approve;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod changes;
pub(crate) mod checkpoint;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod du;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod gc;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod manifest;
pub(crate) mod net;
pub(crate) mod open;
pub(crate) mod port_forward;
pub(crate) mod pull;
pub(crate) mod refresh;
pub(crate) mod reject;
pub(crate) mod review;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod show;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod task;
pub(crate) mod tenant;
pub(crate) mod timeline;
pub(crate) mod top;
pub(crate) mod undo;
pub(crate) mod upkeep;
pub(crate) mod user;

use crate::{context::Context, failure::Failure};

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Task(task::Args),
    Review(review::Args),
    Changes(changes::Args),
    Diff(diff::Args),
    Approve(approve::Args),
    Reject(reject::Args),
    Refresh(refresh::Args),
    Pull(pull::Args),
    Undo(undo::Args),
    Log(log::Args),
    Checkpoint(checkpoint::Args),
    Timeline(timeline::Args),
    Create(create::Args),
    App(app::Args),
    Open(open::Args),
    PortForward(port_forward::Args),
    Ls(ls::Args),
    Show(show::Args),
    Exec(exec::Args),
    Shell(shell::Args),
    Logs(logs::Args),
    Events(events::Args),
    Net(net::Args),
    Cp(cp::Args),
    Stop(stop::Args),
    Start(start::Args),
    Rm(rm::Args),
    Top(top::Args),
    Du(du::Args),
    Gc(gc::Args),
    Upkeep(upkeep::Args),
    Manifest(manifest::Args),
    Secret(secret::Args),
    Agents(agents::Args),
    User(user::Args),
    Key(key::Args),
    Tenant(tenant::Args),
    Audit(audit::Args),
    Doctor(doctor::Args),
    Serve(serve::Args),
    Config(config::Args),
    Backup(backup::Args),
    Completions(completions::Args),
}

/// Carries out a command that asks the server, and returns the exit code.
pub(crate) async fn run(command: Command, context: &mut Context) -> Result<u8, Failure> {
    match command {
        Command::Run(args) => Box::pin(run::run(args, context)).await,
        Command::Task(args) => Box::pin(task::run(args, context)).await,
        Command::Review(args) => Box::pin(review::run(args, context)).await,
        Command::Changes(args) => changes::run(args, context).await,
        Command::Diff(args) => Box::pin(diff::run(args, context)).await,
        Command::Approve(args) => Box::pin(approve::run(args, context)).await,
        Command::Refresh(args) => refresh::run(args, context).await,
        Command::Reject(args) => Box::pin(reject::run(args, context)).await,
        Command::Pull(args) => pull::run(args, context).await,
        Command::Undo(args) => undo::run(args, context).await,
        Command::Log(args) => log::run(args, context).await,
        Command::Checkpoint(args) => Box::pin(checkpoint::run(args, context)).await,
        Command::Timeline(args) => timeline::run(args, context).await,
        Command::Create(args) => create::run(args, context).await,
        Command::PortForward(args) => port_forward::run(args, context).await,
        Command::Open(args) => open::run(args, context).await,
        Command::App(args) => Box::pin(app::run(args, context)).await,
        Command::Ls(args) => ls::run(args, context).await,
        Command::Show(args) => show::run(args, context).await,
        Command::Exec(args) => Box::pin(exec::run(args, context)).await,
        Command::Shell(args) => Box::pin(shell::run(args, context)).await,
        Command::Logs(args) => Box::pin(logs::run(args, context)).await,
        Command::Events(args) => events::run(args, context).await,
        Command::Net(args) => net::run(args, context).await,
        Command::Cp(args) => Box::pin(cp::run(args, context)).await,
        Command::Stop(args) => stop::run(args, context).await,
        Command::Start(args) => start::run(args, context).await,
        Command::Rm(args) => Box::pin(rm::run(args, context)).await,
        Command::Top(args) => Box::pin(top::run(args, context)).await,
        Command::Du(args) => du::run(args, context).await,
        Command::Gc(args) => gc::run(args, context).await,
        Command::Upkeep(args) => upkeep::run(args, context).await,
        Command::Secret(args) => secret::run(args, context).await,
        Command::Agents(args) => agents::run(args, context).await,
        Command::User(args) => user::run(args, context).await,
        Command::Key(args) => key::run(args, context).await,
        Command::Tenant(args) => tenant::run(args, context).await,
        Command::Config(args) => config::change(args, context).await,
        Command::Audit(args) => audit::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Manifest(_) | Command::Serve(_) | Command::Backup(_) | Command::Completions(_) => {
            unreachable!("they ask no server and were carried out before")
        }
    }
}
