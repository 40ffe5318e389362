//! Lessons: what the page shows of them, and what their steps do.

use crate::session::Outcome;
use crate::session::scenario::{self, Scenario, Written};

use super::super::protocol::{Answer, Lesson, LessonStep, Report};
use super::{Host, answer, deed, mark_of_action};

/// How many single steps a step of a lesson makes at most.
const STEPS_MAX: u32 = 1_000;

/// The lesson of a scenario as the page shows it, if it has one.
pub(super) fn shown(id: &str, scenario: &Scenario) -> Option<Lesson> {
    let step = |step: &scenario::LessonStep| LessonStep {
        text: step.text.clone(),
        button: step.button.clone(),
        files: step.files.clone(),
        apply: step.apply.clone(),
        select: step.select.clone(),
        awaits: !step.expect.is_empty(),
    };
    let steps: Vec<LessonStep> = scenario.steps.iter().map(step).collect();
    (!steps.is_empty()).then(|| Lesson { id: id.to_owned(), title: scenario.title.clone(), steps })
}

impl Host {
    /// Takes a lesson up again, after the page was reloaded.
    pub(super) fn resume_lesson(&mut self, id: &str) {
        let scenario = Scenario::named(id);
        let lesson = scenario.as_ref().and_then(|scenario| shown(id, scenario));
        self.lesson = scenario.map(|scenario| scenario.steps).unwrap_or_default();
        self.attended = Some(0);
        self.reports.push(Report::Lesson(lesson));
    }

    /// The step that is read now: what it leads to is looked for from now on.
    pub(super) fn attend(&mut self, step: usize) {
        self.attended = Some(step);
    }

    /// Tells, once, that what the step leads to is there.
    #[inline(never)]
    pub(super) fn watch_lesson(&mut self) {
        let Some(number) = self.attended else { return };
        let Some(step) = self.lesson.get(number).filter(|step| !step.expect.is_empty()) else { return };
        let etcd = self.session.cluster().api().etcd();
        if step.expect.iter().all(|expectation| expectation.is_met(etcd)) {
            self.attended = None;
            self.reports.push(Report::Reached(number));
        }
    }

    fn step_until(&mut self, written: &Written) {
        for _ in 0..STEPS_MAX {
            let before = self.session.cluster().api().etcd().revision();
            self.step();
            let mut commits = self.session.cluster().api().etcd().commits(before);
            if commits.any(|commit| *commit.cause.actor == *written.by && commit.kind().info().kind == written.kind) {
                return;
            }
        }
    }

    /// Does what a step of the lesson says.
    pub(super) fn perform(&mut self, id: u32, step: usize) {
        let Some(step) = self.lesson.get(step).cloned() else { return };
        if let Some(speed) = step.speed {
            self.running.set_speed(speed);
        }
        let (mut all, mut deeds) = (Outcome::default(), Vec::new());
        for action in step.actions {
            self.leave_the_future();
            let (mark, deed) = (mark_of_action(self.session.now(), &action), deed(&action));
            match self.session.act(action) {
                Ok(outcome) => {
                    self.marks.push(mark);
                    match deed.filter(|_| outcome.is_success()) {
                        Some(deed) => deeds.push(deed),
                        None => all.lines.extend(outcome.lines),
                    }
                    all.errors.extend(outcome.errors);
                    all.refusals.extend(outcome.refusals);
                }
                Err(error) => all.refusals.push(error.to_string()),
            }
        }
        if let Some(written) = &step.until_written {
            self.step_until(written);
        }
        if step.skip_seconds > 0.0 {
            self.running.skip(self.session.now(), step.skip_seconds);
        }
        if step.until_idle {
            self.running.until_idle(self.session.now());
        }
        if let Some(play) = step.play {
            self.play(play);
        }
        self.save();
        self.reports.push(Report::Done { id, outcome: Ok(Answer { deeds, ..answer(all) }) });
    }
}
