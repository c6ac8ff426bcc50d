//! `muster usersig`: signs for an account with the key of a configured app.

use std::path::PathBuf;

use clap::Args;

use crate::api::auth::{EXPIRE_SECS_DEFAULT, sign};
use crate::config::{self, App, Config, ConfigError};
use crate::id::AccountId;
use crate::time::{Clock, SystemClock};

#[derive(Args, Debug)]
pub struct UsersigArgs {
    /// App to sign for, the sdkappid of requests. May be left out where there is one app.
    #[arg(long, value_name = "ID")]
    pub app: Option<u32>,
    /// Account to sign for. The REST API is open to the admins of the app.
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// Lifetime in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = EXPIRE_SECS_DEFAULT, value_parser = clap::value_parser!(i64).range(1..))]
    pub expire: i64,
    /// Configuration file of the node, TOML.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum UsersigError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("app {app} is not configured, there is {known}")]
    NoSuchApp { app: u32, known: String },
    #[error("name an app with --app, there is {known}")]
    WhichApp { known: String },
    #[error("app {app} has no key")]
    NoKey { app: u32 },
    #[error("--user {user:?}: {reason}")]
    User { user: String, reason: String },
}

/// Prints the signature alone, so that it can be put into a variable.
///
/// # Errors
/// [`UsersigError`].
pub fn run(args: &UsersigArgs) -> Result<(), UsersigError> {
    let config = Config::load(args.config.as_deref())?;
    let mut apps = config.apps;
    if apps.is_empty() {
        let folder = &config.node.data_dir;
        let is_new = !config::has_app(folder);
        apps.push(config::ensure_app(folder)?);
        if is_new {
            // A node that is started there next takes it over; one that runs elsewhere knows nothing of it.
            eprintln!(
                "muster: no node has been started in {}, its app was made just now; the configuration of a node is named \
                 with --config",
                folder.display()
            );
        }
    }
    println!("{}", signature(args, &apps, SystemClock.now() / 1000)?);
    Ok(())
}

fn signature(args: &UsersigArgs, apps: &[App], now_secs: u64) -> Result<String, UsersigError> {
    let known = || apps.iter().map(|app| app.id.to_string()).collect::<Vec<_>>().join(", ");
    let app = match (args.app, apps) {
        (Some(id), apps) => {
            let found = apps.iter().find(|app| app.id == id);
            found.ok_or_else(|| UsersigError::NoSuchApp { app: id, known: known() })?
        }
        (None, [only]) => only,
        (None, _) => return Err(UsersigError::WhichApp { known: known() }),
    };
    let key = app.keys.first().ok_or(UsersigError::NoKey { app: app.id })?;
    AccountId::parse(&args.user).map_err(|e| UsersigError::User { user: args.user.clone(), reason: e.to_string() })?;
    Ok(sign(key.expose(), app.id, &args.user, now_secs, args.expire, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth::decode;
    use crate::config::Secret;

    fn app(id: u32, keys: &[&str]) -> App {
        let keys = keys.iter().map(|key| Secret::new(*key)).collect();
        App { id, keys, admins: vec!["root".to_owned()], enabled: true, ..App::default() }
    }

    fn args(app: Option<u32>, user: &str) -> UsersigArgs {
        UsersigArgs { app, user: user.to_owned(), expire: 60, config: None }
    }

    #[test]
    fn the_current_key_of_the_app_signs() {
        let apps = [app(1, &["k1"]), app(2, &["k2", "old"])];
        let claims = decode(&signature(&args(Some(2), "root"), &apps, 1_000).unwrap(), 4096).unwrap();
        assert_eq!((claims.app, claims.time, claims.expire, claims.identifier.as_str()), (2, 1_000, 60, "root"));
        assert!(claims.is_signed_with("k2"));
        assert!(signature(&args(None, "root"), &apps[..1], 1_000).is_ok(), "one app needs no name");
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let apps = [app(1, &["k1"]), app(2, &[])];
        for (args, expected) in [
            (args(Some(9), "root"), "app 9 is not configured, there is 1, 2"),
            (args(None, "root"), "name an app with --app, there is 1, 2"),
            (args(Some(2), "root"), "app 2 has no key"),
            (args(Some(1), ""), "--user \"\": the id is empty"),
        ] {
            assert_eq!(signature(&args, &apps, 0).unwrap_err().to_string(), expected);
        }
    }
}
