//! `login-token`: a login, signed with a provider's key, for whoever holds it.

use std::time::{SystemTime, UNIX_EPOCH};

use driftless_server::Subject;
use driftless_wire::Timestamp;
use serde_json::json;

use crate::args::LoginTokenArgs;
use crate::exit::Failure;
use crate::output::Output;
use crate::pools::Pools;
use crate::settings::Settings;

pub(crate) fn login_token(
    settings: &Settings,
    args: LoginTokenArgs,
    output: &Output,
) -> Result<(), Failure> {
    let pool = settings.pool()?;
    let logins = Pools::read(&args.pools)?.logins(&pool, &args.provider)?;
    let subject = Subject::new(args.subject)
        .ok_or_else(|| Failure::usage("--subject has 1 to 255 characters"))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = now.as_secs().saturating_add(args.valid_for.into());
    let millis = i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000);
    let expires = Timestamp::from_millis(millis);
    let token = logins.sign(&pool, &args.provider, &subject, expires);
    output.answer(|| json!({ "token": token }), || format!("{token}\n"))
}
