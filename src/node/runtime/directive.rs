//! The annotations that direct what a pod's containers and probes do, for lessons and tests.
//!
//! - `kubetab/exit[.CONTAINER]: "1@2s,0@5s"`: exit code and run time of each attempt; the last one repeats. `oom@2s` is
//!   an out-of-memory kill, `forever` does not end.
//! - `kubetab/readiness|liveness|startup[.CONTAINER]: "fail:6s,ok"`: a probe's answers, from the container's start on.
//! - `kubetab/cpu|memory[.CONTAINER]: "50m@30s,400m"`: what metrics tell that the container uses, from its start on. They
//!   are read at each look, so that `kubectl annotate` puts load on a pod that runs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::machinery::amount::directive;
use crate::machinery::duration::GoDuration;

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this code, after this time.
    Exit(i32, Duration),
    /// Killed for want of memory, after this time.
    OutOfMemory(Duration),
    /// Not at all.
    Forever,
}

/// What the attempts of a container come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitScript {
    attempts: Vec<Ending>,
}

impl ExitScript {
    /// Reads an annotation's value.
    ///
    /// # Errors
    /// When it is not of the grammar.
    pub fn parse(text: &str) -> Result<Self, String> {
        let attempts: Result<Vec<Ending>, String> = text.split(',').map(|part| ending(part.trim())).collect();
        Ok(Self { attempts: attempts? })
    }

    /// The script for a container, if its pod has one: its own comes before the pod's.
    #[must_use]
    pub fn of(annotations: &BTreeMap<String, String>, container: &str) -> Option<Self> {
        Self::parse(directive(annotations, "exit", container)?).ok()
    }

    /// How an attempt ends, counted from 0.
    #[must_use]
    pub fn attempt(&self, attempt: u32) -> Ending {
        let last = self.attempts.len() - 1;
        self.attempts[usize::try_from(attempt).unwrap_or(last).min(last)]
    }
}

fn ending(text: &str) -> Result<Ending, String> {
    if text == "forever" {
        return Ok(Ending::Forever);
    }
    let (code, after) = text.split_once('@').unwrap_or((text, "0"));
    let after = GoDuration::parse(after)?.to_std();
    if code == "oom" {
        return Ok(Ending::OutOfMemory(after));
    }
    let code: u8 = code.parse().map_err(|_| format!("{code:?} is no exit code"))?;
    Ok(Ending::Exit(i32::from(code), after))
}

/// The three probes of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// `startupProbe`.
    Startup,
    /// `readinessProbe`.
    Readiness,
    /// `livenessProbe`.
    Liveness,
}

impl ProbeKind {
    fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// A probe's answers over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeScript {
    /// Answers and how long each holds; the last one holds for ever.
    answers: Vec<(bool, Duration)>,
}

impl ProbeScript {
    /// Reads an annotation's value.
    ///
    /// # Errors
    /// When it is not of the grammar.
    pub fn parse(text: &str) -> Result<Self, String> {
        let answer = |part: &str| {
            let (word, time) = part.trim().split_once(':').unwrap_or((part.trim(), "0"));
            let answer = match word {
                "ok" => true,
                "fail" => false,
                other => return Err(format!("{other:?} is neither \"ok\" nor \"fail\"")),
            };
            Ok((answer, GoDuration::parse(time)?.to_std()))
        };
        let answers: Result<Vec<_>, String> = text.split(',').map(answer).collect();
        Ok(Self { answers: answers? })
    }

    /// The script for a container's probe, if its pod has one: its own comes before the pod's.
    #[must_use]
    pub fn of(annotations: &BTreeMap<String, String>, probe: ProbeKind, container: &str) -> Option<Self> {
        Self::parse(directive(annotations, probe.name(), container)?).ok()
    }

    /// Whether the probe succeeds so long after the container started.
    #[must_use]
    pub fn answer_at(&self, since_start: Duration) -> bool {
        let mut left = since_start;
        let (last, before) = self.answers.split_last().expect("a script has an answer");
        for (answer, time) in before {
            match left.checked_sub(*time) {
                Some(rest) => left = rest,
                None => return *answer,
            }
        }
        last.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits() {
        let script = ExitScript::parse("1@2s, 0@1m30s,oom@500ms,forever").unwrap();
        assert_eq!(script.attempt(0), Ending::Exit(1, Duration::from_secs(2)));
        assert_eq!(script.attempt(1), Ending::Exit(0, Duration::from_secs(90)));
        assert_eq!(script.attempt(2), Ending::OutOfMemory(Duration::from_millis(500)));
        assert_eq!(script.attempt(9), Ending::Forever);
        assert_eq!(ExitScript::parse("7").unwrap().attempt(0), Ending::Exit(7, Duration::ZERO));
        for text in ["", "x@1s", "1@", "1@x", "300@1s", "1@2s,"] {
            assert!(ExitScript::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn probes() {
        let script = ProbeScript::parse("fail:6s,ok:10s,fail").unwrap();
        let at = |seconds| script.answer_at(Duration::from_secs(seconds));
        assert_eq!([at(0), at(5), at(6), at(15), at(16), at(999)], [false, false, true, true, false, false]);
        assert!(!ProbeScript::parse("fail").unwrap().answer_at(Duration::from_secs(5)));
        assert!(ProbeScript::parse("ok:1s,fail:1s,ok").unwrap().answer_at(Duration::from_secs(2)));
        assert!(ProbeScript::parse("maybe").is_err());
    }

    #[test]
    fn a_containers_own_comes_first() {
        let annotations = BTreeMap::from([
            ("kubetab/exit".to_owned(), "1".to_owned()),
            ("kubetab/exit.side".to_owned(), "2".to_owned()),
            ("kubetab/readiness".to_owned(), "fail".to_owned()),
        ]);
        let code = |name| ExitScript::of(&annotations, name).unwrap().attempt(0);
        assert_eq!(code("side"), Ending::Exit(2, Duration::ZERO));
        assert_eq!(code("main"), Ending::Exit(1, Duration::ZERO));
        assert!(ProbeScript::of(&annotations, ProbeKind::Readiness, "main").is_some());
        assert!(ProbeScript::of(&annotations, ProbeKind::Liveness, "main").is_none());
    }
}
