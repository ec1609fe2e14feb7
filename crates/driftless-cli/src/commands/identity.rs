//! `identify` and `sign-out`: whose data this device shows, when the identity pool says it.

use driftless::{Became, Client, IdentityChange, IdentityId};
use serde_json::json;

use crate::commands::sync::runtime;
use crate::exit::Failure;
use crate::output::Output;
use crate::settings::Settings;

pub(crate) fn identify(settings: &Settings, output: &Output) -> Result<(), Failure> {
    settings.check_for_pool()?;
    settings.check_for_sync()?;
    let runtime = runtime()?;
    settings.with_client(|client| {
        let before = client.identity();
        settings.logins.identify(client, &runtime)?;
        let now = client.identity();
        let change = change(client, before.as_ref(), now.as_ref());
        output.answer(
            || {
                json!({
                    "identity": now,
                    "before": before,
                    "data": change.as_ref().map(|change| became(change.data)),
                    "left": change.as_ref().map(|change| &change.left),
                })
            },
            || {
                now.as_ref()
                    .map_or_else(String::new, |id| format!("{id}\n"))
            },
        )
    })
}

/// Returns what became of the data if it is another identity than before.
fn change(
    client: &Client,
    before: Option<&IdentityId>,
    now: Option<&IdentityId>,
) -> Option<IdentityChange> {
    let last = client.identity_changes().last();
    last.filter(|_| before != now)
}

const fn became(data: Became) -> &'static str {
    match data {
        Became::Moved => "moved",
        _ => "kept",
    }
}

pub(crate) fn sign_out(settings: &Settings, output: &Output) -> Result<(), Failure> {
    settings.check_for_pool()?;
    settings.with_client(|client| {
        let before = client.identity();
        client.sign_out()?;
        output.answer(
            || json!({ "before": before, "identity": client.identity() }),
            || match &before {
                Some(id) => format!("{id} is signed out; the data stay for when it is back\n"),
                None => "nothing was to be done: nobody is known\n".to_owned(),
            },
        )
    })
}
