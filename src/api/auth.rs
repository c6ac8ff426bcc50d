//! Who is calling, for which app: decides about a UserSig, remembers good ones, locks out those who guess.
//!
//! Owns the keys of the apps, a bounded memory of verified signatures and a bounded memory of failures.
//! Does not know HTTP: the caller passes parameters already decoded, and the time.
//!
//! Source: docs/spec/usersig.md 3 and 4.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use super::error::{self, Failure};
pub use super::usersig::{Claims, EXPIRE_SECS_DEFAULT, Malformed, decode, sign};
use crate::config;
use crate::id::AppId;

/// Verified signatures remembered: 100,000 callers with one signature each need not be verified again.
const VERIFIED_MAX: usize = 1 << 17;
/// Locks over the verified signatures, so that HTTP workers seldom meet.
const VERIFIED_SHARDS: usize = 16;
/// Accounts and addresses whose failures are remembered; beyond it the oldest are forgotten.
const FAILING_MAX: usize = 1 << 16;
/// Bits of an IPv6 address that name one customer.
const IPV6_SITE_BITS: u32 = 64;

/// Who says who he is.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub app: u32,
    pub identifier: &'a str,
    pub usersig: &'a str,
    /// Address of the connection, where it has one.
    pub from: Option<IpAddr>,
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("sdkappid is not known here: sdkappid={app}")]
    NoSuchApp { app: u32 },
    #[error("the app is disabled: sdkappid={app}")]
    AppDisabled { app: u32 },
    #[error("the app has no key to verify with: sdkappid={app}")]
    NoKey { app: u32 },
    #[error("too many failed signatures, wait a minute: usersig")]
    Locked,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("usersig was made for another app: sdkappid={app}")]
    OtherApp { app: u32 },
    #[error("usersig was made for another account: identifier")]
    OtherIdentifier,
    #[error("the signature does not verify with the key of this app: usersig")]
    Mismatch,
    #[error("usersig has expired: usersig")]
    Expired,
    #[error("usersig was issued in the future: usersig")]
    NotYetValid,
    #[error("only an app admin may call this: identifier")]
    NotAppAdmin,
}

impl AuthError {
    /// The code on the wire. Source: docs/spec/errors.md 3 and 4.
    pub fn code(&self) -> u32 {
        match self {
            AuthError::NoSuchApp { .. } => error::NO_SUCH_APP,
            AuthError::AppDisabled { .. } => error::APP_DISABLED,
            AuthError::NoKey { .. } => error::NO_KEY,
            AuthError::Locked => error::LOCKED,
            AuthError::Malformed(_) | AuthError::NotYetValid => error::USERSIG_MALFORMED,
            AuthError::OtherApp { .. } => error::OTHER_APP,
            AuthError::OtherIdentifier => error::OTHER_IDENTIFIER,
            AuthError::Mismatch => error::USERSIG_MISMATCH,
            AuthError::Expired => error::USERSIG_EXPIRED,
            AuthError::NotAppAdmin => error::NOT_APP_ADMIN,
        }
    }

    /// Whether it looks like guessing: steps 6 to 11 of the spec's table.
    fn counts(&self) -> bool {
        matches!(
            self,
            AuthError::Malformed(_) | AuthError::OtherApp { .. } | AuthError::OtherIdentifier | AuthError::Mismatch
        )
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Failure::new(error.code(), error.to_string())
    }
}

/// Decides who is let in.
pub struct Auth {
    apps: FxHashMap<u32, KnownApp>,
    settings: config::Auth,
    verified: Vec<Mutex<Recent<[u8; 32], Window>>>,
    failures: Failures,
}

struct KnownApp {
    keys: Vec<config::Secret>,
    admins: Vec<String>,
    enabled: bool,
    /// A digest of the keys: another set of keys finds nothing that was verified with this one.
    generation: [u8; 32],
}

/// When a signature is good, in Unix seconds: from the first, before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: i64,
    before: i64,
}

impl Auth {
    pub fn new(apps: Vec<config::App>, settings: config::Auth) -> Self {
        let apps = apps
            .into_iter()
            .map(|app| {
                let mut keys = Sha256::new();
                for key in &app.keys {
                    keys.update((key.expose().len() as u64).to_be_bytes());
                    keys.update(key.expose());
                }
                let generation = keys.finalize().into();
                (app.id, KnownApp { keys: app.keys, admins: app.admins, enabled: app.enabled, generation })
            })
            .collect();
        let verified = (0..VERIFIED_SHARDS).map(|_| Mutex::new(Recent::new(VERIFIED_MAX / VERIFIED_SHARDS)));
        let failures = Failures::new(settings.fail_limit, settings.fail_window_secs);
        Self { apps, settings, verified: verified.collect(), failures }
    }

    /// Lets an app admin in.
    ///
    /// # Errors
    /// [`AuthError`], [`AuthError::NotAppAdmin`] last.
    pub fn admin(&self, caller: &Caller<'_>, now_secs: u64) -> Result<AppId, AuthError> {
        let app = self.account(caller, now_secs)?;
        let known = self.apps.get(&caller.app).ok_or(AuthError::NoSuchApp { app: caller.app })?;
        if !known.admins.iter().any(|admin| admin == caller.identifier) {
            return Err(AuthError::NotAppAdmin);
        }
        Ok(app)
    }

    /// Lets any account with a good signature in.
    ///
    /// # Errors
    /// [`AuthError`], the first in the order of docs/spec/usersig.md 3.
    pub fn account(&self, caller: &Caller<'_>, now_secs: u64) -> Result<AppId, AuthError> {
        let app = self.apps.get(&caller.app).ok_or(AuthError::NoSuchApp { app: caller.app })?;
        if !app.enabled {
            return Err(AuthError::AppDisabled { app: caller.app });
        }
        if app.keys.is_empty() {
            return Err(AuthError::NoKey { app: caller.app });
        }
        if self.failures.are_too_many(caller, now_secs) {
            return Err(AuthError::Locked);
        }
        let now = i64::try_from(now_secs).unwrap_or(i64::MAX);
        let outcome = self.verify(app, caller, now);
        if let Err(e) = &outcome
            && e.counts()
        {
            self.failures.record(caller, now_secs);
        }
        outcome.map(|()| AppId(caller.app))
    }

    fn verify(&self, app: &KnownApp, caller: &Caller<'_>, now: i64) -> Result<(), AuthError> {
        // A signature that is too long is not worth a digest.
        let digest = (caller.usersig.len() <= self.settings.max_usersig_bytes).then(|| digest(app, caller));
        if let Some(digest) = digest
            && let Some(window) = self.shard(&digest).lock().get(&digest).copied()
        {
            return window.check(now);
        }
        let claims = decode(caller.usersig, self.settings.max_usersig_bytes)?;
        if claims.app != i64::from(caller.app) {
            return Err(AuthError::OtherApp { app: caller.app });
        }
        if claims.identifier != caller.identifier {
            return Err(AuthError::OtherIdentifier);
        }
        if !app.keys.iter().any(|key| claims.is_signed_with(key.expose())) {
            return Err(AuthError::Mismatch);
        }
        let window = Window::of(&claims, &self.settings)?;
        window.check(now)?;
        if let Some(digest) = digest {
            self.shard(&digest).lock().insert(digest, window);
        }
        Ok(())
    }

    fn shard(&self, digest: &[u8; 32]) -> &Mutex<Recent<[u8; 32], Window>> {
        &self.verified[usize::from(digest[0]) % VERIFIED_SHARDS]
    }
}

/// Names a signature together with everything its verification rested on.
fn digest(app: &KnownApp, caller: &Caller<'_>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(app.generation);
    digest.update(caller.app.to_be_bytes());
    digest.update((caller.identifier.len() as u64).to_be_bytes());
    digest.update(caller.identifier);
    digest.update(caller.usersig);
    digest.finalize().into()
}

impl Window {
    /// Source: docs/spec/usersig.md 4.
    fn of(claims: &Claims, settings: &config::Auth) -> Result<Self, AuthError> {
        let secs = |setting: u64| i64::try_from(setting).unwrap_or(i64::MAX);
        if claims.expire <= 0 {
            return Err(AuthError::Expired);
        }
        let mut lifetime = claims.expire;
        if settings.max_expire_secs > 0 {
            lifetime = lifetime.min(secs(settings.max_expire_secs));
        }
        // The sum of what was signed must exist, whatever of it we honour.
        if claims.time.checked_add(claims.expire).is_none() {
            return Err(Malformed("its time and lifetime do not add up").into());
        }
        Ok(Self {
            from: claims.time.saturating_sub(secs(settings.max_future_skew_secs)),
            before: claims.time.saturating_add(lifetime).saturating_add(secs(settings.expiry_leeway_secs)),
        })
    }

    fn check(self, now: i64) -> Result<(), AuthError> {
        if now >= self.before {
            return Err(AuthError::Expired);
        }
        if now < self.from {
            return Err(AuthError::NotYetValid);
        }
        Ok(())
    }
}

/// A map of bounded size that forgets by halves: cheaper than an order of use, and good enough for both of ours.
///
/// It holds the newest `max / 2` entries always, and never more than `max`.
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    max: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), max }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// The penalty box: whoever fails `limit` times within a window is refused for the length of a window.
struct Failures {
    limit: u32,
    window_secs: u64,
    /// Nobody ever failed, the usual case: requests then take no lock.
    any: AtomicBool,
    hasher: RandomState,
    /// Accounts and addresses by keyed hash, so that an entry has one small size whatever the name.
    counts: Mutex<Recent<u64, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    since_secs: u64,
    failures: u32,
}

impl Failures {
    fn new(limit: u32, window_secs: u64) -> Self {
        let counts = Mutex::new(Recent::new(FAILING_MAX));
        Self { limit, window_secs, any: AtomicBool::new(false), hasher: RandomState::new(), counts }
    }

    fn keys(&self, caller: &Caller<'_>) -> [Option<u64>; 2] {
        let account = self.hasher.hash_one((caller.app, caller.identifier));
        let address = caller.from.map(|address| self.hasher.hash_one(site(address)));
        [Some(account), address]
    }

    fn are_too_many(&self, caller: &Caller<'_>, now_secs: u64) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let counts = self.counts.lock();
        self.keys(caller).into_iter().flatten().any(|key| {
            counts.get(&key).is_some_and(|count| count.failures >= self.limit && self.is_current(count, now_secs))
        })
    }

    fn record(&self, caller: &Caller<'_>, now_secs: u64) {
        if self.limit == 0 {
            return;
        }
        self.any.store(true, Ordering::Relaxed);
        let mut counts = self.counts.lock();
        for key in self.keys(caller).into_iter().flatten() {
            let mut count = match counts.get(&key) {
                Some(count) if self.is_current(count, now_secs) => *count,
                _ => Count { since_secs: now_secs, failures: 0 },
            };
            count.failures += 1;
            if count.failures == self.limit {
                // The wait begins with the failure that was too many.
                count.since_secs = now_secs;
            }
            counts.insert(key, count);
        }
    }

    fn is_current(&self, count: &Count, now_secs: u64) -> bool {
        now_secs < count.since_secs.saturating_add(self.window_secs)
    }
}

/// One customer has a whole IPv6 network to fail from.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> IPV6_SITE_BITS << IPV6_SITE_BITS)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::super::usersig::tests::{K1, V1, V5, repack};
    use super::*;

    const APP: u32 = 1_400_000_000;
    const ISSUED: u64 = 1_700_000_000;

    fn app(id: u32, keys: &[&str]) -> config::App {
        let keys = keys.iter().map(|key| config::Secret::new(*key)).collect();
        let admins = vec!["root".to_owned()];
        config::App { id, keys, admins, enabled: true, ..config::App::default() }
    }

    fn auth(apps: Vec<config::App>) -> Auth {
        Auth::new(apps, config::Auth::default())
    }

    fn caller(usersig: &str) -> Caller<'_> {
        Caller { app: APP, identifier: "xiaojun", usersig, from: None }
    }

    fn code(outcome: Result<AppId, AuthError>) -> u32 {
        outcome.map_or_else(|e| e.code(), |_| 0)
    }

    /// The second table of docs/spec/usersig.md 6, and its neighbours.
    #[test]
    fn the_expected_results_of_the_vectors() {
        let a64 = "a".repeat(64);
        let ours = || vec![app(APP, &[K1])];
        let cut = &V1[..V1.len() - 20];
        let stripped = repack(V5, |t| t.replace(", \"TLS.userbuf\": \"YWJj\"", ""));
        let never = sign(K1, APP, "xiaojun", ISSUED, 0, None);
        let overflowing = sign(K1, APP, "xiaojun", ISSUED, i64::MAX, None);
        let by = |identifier| Caller { identifier, ..caller(V1) };
        let of = |app| Caller { app, ..caller(V1) };
        let disabled = config::App { enabled: false, ..app(APP, &[K1]) };
        let later = ISSUED + 1;
        for (what, apps, caller, now, expected) in [
            ("as is", ours(), caller(V1), ISSUED, 0),
            ("in its last second", ours(), caller(V1), 1_715_551_999, 0),
            ("one second later", ours(), caller(V1), 1_715_552_000, 70001),
            ("601 s before issue", ours(), caller(V1), 1_699_999_399, 70003),
            ("600 s before issue", ours(), caller(V1), 1_699_999_400, 0),
            ("another identifier", ours(), by("xiaojun2"), later, 70013),
            ("another app with the key", vec![app(APP, &[K1]), app(APP + 1, &[K1])], of(APP + 1), later, 70014),
            ("another key", vec![app(APP, &[&a64])], caller(V1), later, 70009),
            ("cut", ours(), caller(cut), later, 70003),
            ("userbuf taken out", ours(), caller(&stripped), later, 70009),
            ("an app nobody configured", ours(), of(1), later, 70020),
            ("a disabled app", vec![disabled], caller(V1), later, 60016),
            ("an app without a key", vec![app(APP, &[])], caller(V1), later, 70016),
            ("the previous key", vec![app(APP, &[&a64, K1])], caller(V1), later, 0),
            ("a lifetime of nothing", ours(), caller(&never), later, 70001),
            ("a lifetime past all time", ours(), caller(&overflowing), later, 70003),
        ] {
            let auth = auth(apps);
            assert_eq!(code(auth.account(&caller, now)), expected, "{what}");
            // The second time the answer may come from memory, and must be the same.
            assert_eq!(code(auth.account(&caller, now)), expected, "{what}, again");
        }
    }

    #[test]
    fn the_admin_plane_is_for_admins() {
        let auth = auth(vec![app(APP, &[K1])]);
        assert_eq!(code(auth.admin(&caller(V1), ISSUED)), 60010);
        let of_root = sign(K1, APP, "root", ISSUED, 60, None);
        let root = Caller { identifier: "root", ..caller(&of_root) };
        assert_eq!(auth.admin(&root, ISSUED), Ok(AppId(APP)));
    }

    #[test]
    fn a_remembered_signature_still_ends() {
        let auth = auth(vec![app(APP, &[K1])]);
        assert_eq!(code(auth.account(&caller(V1), ISSUED)), 0);
        assert_eq!(code(auth.account(&caller(V1), 1_715_552_000)), 70001);
        assert_eq!(code(auth.account(&caller(V1), 1_699_999_399)), 70003);
        assert_eq!(code(auth.account(&Caller { identifier: "xiaojun2", ..caller(V1) }, ISSUED)), 70013);
    }

    #[test]
    fn tolerances_and_the_longest_lifetime() {
        let settings = config::Auth { expiry_leeway_secs: 5, max_expire_secs: 100, ..config::Auth::default() };
        let auth = Auth::new(vec![app(APP, &[K1])], settings);
        assert_eq!(code(auth.account(&caller(V1), ISSUED + 104)), 0);
        assert_eq!(code(auth.account(&caller(V1), ISSUED + 105)), 70001);
    }

    #[test]
    fn who_fails_too_often_waits() {
        let settings = config::Auth { fail_limit: 3, fail_window_secs: 60, ..config::Auth::default() };
        let auth = Auth::new(vec![app(APP, &[K1])], settings);
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let bad = |from| Caller { from, ..caller("nonsense") };
        let good = |from| Caller { from, ..caller(V1) };
        let guess = |identifier, from| Caller { identifier, from, ..caller("nonsense") };

        for now in [0, 10, 50] {
            assert_eq!(code(auth.account(&bad(address("10.0.0.1")), ISSUED + now)), 70003);
        }
        // Both the account, from anywhere, and the address, whomever it names.
        assert_eq!(code(auth.account(&good(address("10.0.0.2")), ISSUED + 51)), 70050);
        assert_eq!(code(auth.account(&guess("otto", address("10.0.0.1")), ISSUED + 51)), 70050);
        assert_eq!(code(auth.account(&guess("otto", address("10.0.0.2")), ISSUED + 51)), 70003);
        // A whole window after the failure that was too many, not after the first.
        assert_eq!(code(auth.account(&good(None), ISSUED + 109)), 70050);
        assert_eq!(code(auth.account(&good(None), ISSUED + 110)), 0);
    }

    #[test]
    fn failures_far_apart_do_not_add_up_and_the_old_are_not_guessing() {
        let settings = config::Auth { fail_limit: 2, fail_window_secs: 60, ..config::Auth::default() };
        let auth = Auth::new(vec![app(APP, &[K1])], settings);
        for minute in 0..5 {
            assert_eq!(code(auth.account(&caller("nonsense"), ISSUED + minute * 60)), 70003);
        }
        let auth = Auth::new(vec![app(APP, &[K1])], config::Auth { fail_limit: 1, ..config::Auth::default() });
        for _ in 0..3 {
            assert_eq!(code(auth.account(&caller(V1), 1_715_552_000)), 70001);
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let settings = config::Auth { fail_limit: 1, ..config::Auth::default() };
        let auth = Auth::new(vec![app(APP, &[K1])], settings);
        let from = |identifier, text: &str| Caller { identifier, from: text.parse().ok(), ..caller("nonsense") };
        assert_eq!(code(auth.account(&from("a", "2001:db8:1:2::1"), ISSUED)), 70003);
        assert_eq!(code(auth.account(&from("b", "2001:db8:1:2:ffff::9"), ISSUED)), 70050);
        assert_eq!(code(auth.account(&from("c", "2001:db8:1:3::1"), ISSUED)), 70003);
    }

    #[test]
    fn a_recent_map_is_bounded_and_keeps_the_newest() {
        let mut map = Recent::new(10);
        for i in 0..1_000_u32 {
            map.insert(i, i);
            assert!(map.young.len() + map.old.len() <= 10);
            assert!((i.saturating_sub(4)..=i).all(|newest| map.get(&newest) == Some(&newest)));
        }
        assert_eq!(map.get(&0), None);
    }
}
