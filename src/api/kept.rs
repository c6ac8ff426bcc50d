//! Answers that are given again while what they show has not changed.
//!
//! A client that opens a group asks what the client before it asked. Such an answer is kept under the request that it
//! answers, with the version of every group it shows; a version is never had twice, so equal versions behind a read
//! barrier are the same rows. Only what an app admin may see is kept: who asks makes no difference.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::actors::Version;
use crate::group::FOR_EVER_SECS;
use crate::id::{AppId, GroupId};

/// Larger answers are not kept: few of them would push out all others.
const KEPT_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What a kept answer takes beside its texts, roughly.
const KEPT_OVERHEAD_BYTES: usize = 200;
/// What a usual answer about a group takes: how many there may be is guessed from it, what they take is counted.
const KEPT_BYTES_USUAL: usize = 4 * 1024;

/// What an answer shows, if it may be given again.
#[derive(Debug, Default)]
pub struct Shown {
    groups: Vec<(GroupId, Version)>,
    /// Unix seconds; `None`: time alone changes nothing.
    until_secs: Option<u64>,
}

impl Shown {
    pub fn group(&mut self, id: &GroupId, version: Version) {
        self.groups.push((id.clone(), version));
    }

    /// Something shown is over then (Unix seconds), unless it is over already or holds for ever.
    pub fn over_at(&mut self, secs: u64, now_secs: u64) {
        if secs > now_secs && secs != u64::from(FOR_EVER_SECS) {
            self.until_secs = Some(self.until_secs.map_or(secs, |until| until.min(secs)));
        }
    }
}

/// An answer as a handler rendered it.
pub struct Rendered {
    pub body: Vec<u8>,
    /// `None`: it is not to be given again.
    pub shown: Option<Shown>,
}

/// An answer that is kept.
#[derive(Clone)]
pub struct Kept {
    pub groups: Arc<[(GroupId, Version)]>,
    until_secs: Option<u64>,
    pub body: Bytes,
}

/// What was asked: a command of an app, by the very bytes of the body.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    app: AppId,
    command: usize,
    body: Bytes,
}

/// The same, while its body is still part of what was received.
struct Asking<'a> {
    app: AppId,
    command: usize,
    body: &'a [u8],
}

impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asking { app: self.app, command: self.command, body: &self.body }.hash(state);
    }
}

impl Hash for Asking<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.app.0, self.command, self.body).hash(state);
    }
}

impl Equivalent<Question> for Asking<'_> {
    fn equivalent(&self, question: &Question) -> bool {
        self.app == question.app && self.command == question.command && *self.body == *question.body
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Question, Kept> for ByBytes {
    fn weight(&self, question: &Question, kept: &Kept) -> u64 {
        (KEPT_OVERHEAD_BYTES
            + question.body.len()
            + kept.body.len()
            + kept.groups.len() * size_of::<(GroupId, Version)>()) as u64
    }
}

/// Answers that are kept, those asked for least pushed out by others.
pub struct KeptAnswers(Option<Cache<Question, Kept, ByBytes>>);

impl KeptAnswers {
    /// `bytes_max`: what they may take together; 0 keeps none.
    pub fn new(bytes_max: usize) -> Self {
        let cache = || Cache::with_weighter(bytes_max / KEPT_BYTES_USUAL + 1, bytes_max as u64, ByBytes);
        Self((bytes_max > 0).then(cache))
    }

    /// What was answered to the same question. It holds if all its groups still have the versions that it names.
    pub fn find(&self, app: AppId, command: usize, body: &[u8], now_secs: u64) -> Option<Kept> {
        let kept = self.0.as_ref()?.get(&Asking { app, command, body })?;
        kept.until_secs.is_none_or(|until| now_secs < until).then_some(kept)
    }

    /// Keeps an answer in place of an earlier one, and gives it back as it is sent.
    pub fn keep(&self, app: AppId, command: usize, body: &[u8], rendered: Rendered) -> Bytes {
        let Rendered { body: answer, shown } = rendered;
        let (Some(cache), Some(shown)) = (&self.0, shown) else { return answer.into() };
        if answer.len() + body.len() > KEPT_ANSWER_BYTES_MAX {
            return answer.into();
        }
        // No more than it is: what it was written into is larger. Of the request a copy, since what was received is
        // one piece with other requests.
        let answer = Bytes::from(answer.into_boxed_slice());
        let question = Question { app, command, body: Bytes::copy_from_slice(body) };
        let kept = Kept { groups: shown.groups.into(), until_secs: shown.until_secs, body: answer.clone() };
        cache.insert(question, kept);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId(7);

    fn rendered(body: &str, over_at: &[u64]) -> Rendered {
        let mut shown = Shown::default();
        shown.group(&GroupId::parse("g").unwrap(), Version { term: 1, activation: 2, counter: 3 });
        over_at.iter().for_each(|secs| shown.over_at(*secs, 100));
        Rendered { body: body.as_bytes().to_vec(), shown: Some(shown) }
    }

    #[test]
    fn the_same_question_has_the_same_answer() {
        let answers = KeptAnswers::new(1 << 20);
        assert_eq!(answers.keep(APP, 1, b"{}", rendered("first", &[])), "first");
        assert_eq!(answers.keep(APP, 1, b"{}", rendered("second", &[])), "second");
        let kept = answers.find(APP, 1, b"{}", u64::MAX).unwrap();
        assert_eq!(kept.body, "second");
        assert_eq!(kept.groups[0].1.counter, 3);
        for (app, command, body) in [(AppId(8), 1, "{}"), (APP, 2, "{}"), (APP, 1, "{ }")] {
            assert!(answers.find(app, command, body.as_bytes(), 0).is_none());
        }
    }

    #[test]
    fn what_ends_by_itself_is_not_given_after_its_end() {
        let answers = KeptAnswers::new(1 << 20);
        answers.keep(APP, 1, b"{}", rendered("muted", &[99, 100, 300, 200, u64::from(FOR_EVER_SECS)]));
        assert!(answers.find(APP, 1, b"{}", 199).is_some());
        assert!(answers.find(APP, 1, b"{}", 200).is_none());
        answers.keep(APP, 1, b"{}", rendered("for ever", &[100, u64::from(FOR_EVER_SECS)]));
        assert!(answers.find(APP, 1, b"{}", u64::MAX).is_some());
    }

    #[test]
    fn what_is_large_or_not_to_be_given_again_is_not_kept() {
        let answers = KeptAnswers::new(16 << 20);
        let large = "x".repeat(KEPT_ANSWER_BYTES_MAX);
        assert_eq!(answers.keep(APP, 1, b"{}", rendered(&large, &[])).len(), large.len());
        assert_eq!(answers.keep(APP, 1, b"[]", Rendered { body: b"y".to_vec(), shown: None }), "y");
        assert!(answers.find(APP, 1, b"{}", 0).is_none() && answers.find(APP, 1, b"[]", 0).is_none());
        let none = KeptAnswers::new(0);
        assert_eq!(none.keep(APP, 1, b"{}", rendered("z", &[])), "z");
        assert!(none.find(APP, 1, b"{}", 0).is_none());
    }

    #[test]
    fn all_of_them_take_no_more_than_they_may() {
        let answers = KeptAnswers::new(1 << 20);
        for n in 0..2_000 {
            answers.keep(APP, 1, format!("{n}").as_bytes(), rendered(&"x".repeat(4_000), &[]));
        }
        let kept = (0..2_000).filter(|n| answers.find(APP, 1, format!("{n}").as_bytes(), 0).is_some()).count();
        assert!((50..=260).contains(&kept), "{kept} answers of 4 kB in 1 MiB");
    }
}
