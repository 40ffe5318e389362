use super::*;
use crate::machinery::time::Time;

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  a: b\n";

fn apply(text: &str) -> Action {
    let files = vec![File { name: "a.yaml".to_owned(), text: text.to_owned() }];
    Action::Apply { files, namespace: "default".to_owned(), dry_run: false }
}

fn tick(host: &mut Host, seconds: f64) -> Vec<Report> {
    host.tick(seconds, &mut || true);
    let reports = host.take_reports();
    for report in &reports {
        if let Report::Frame(frame) = report {
            host.command(Command::Drawn(frame.number));
        }
    }
    reports
}

/// A host with a cluster that has come to rest, and in which time stands.
fn host() -> Host {
    let mut host = Host::new();
    host.command(Command::UntilIdle);
    for _ in 0..100 {
        tick(&mut host, 0.016);
    }
    assert!(host.session().cluster().is_idle());
    host
}

fn frames(reports: &[Report]) -> Vec<&Frame> {
    let frames = reports.iter().filter_map(|report| match report {
        Report::Frame(frame) => Some(&**frame),
        _ => None,
    });
    frames.collect()
}

fn saved(reports: &[Report]) -> Option<&str> {
    reports.iter().rev().find_map(|report| match report {
        Report::Saved(text) => Some(text.as_str()),
        _ => None,
    })
}

#[test]
fn the_first_frame_shows_everything_and_the_next_waits_until_it_is_drawn() {
    let mut host = Host::new();
    assert!(matches!(host.take_reports().as_slice(), [Report::Ready { .. }]));
    host.command(Command::Gallery);
    assert!(matches!(host.take_reports().as_slice(), [Report::Gallery(cards)] if cards.len() >= 10));
    host.command(Command::Open { start: Start::New, play: true });
    host.tick(0.02, &mut || true);
    let reports = host.take_reports();
    let drawn = frames(&reports);
    assert!(drawn.len() == 1 && drawn[0].whole, "one frame that shows everything");
    assert!(drawn[0].changes.namespaces.as_ref().is_some_and(|names| names.contains(&"default".to_owned())));
    let number = drawn[0].number;
    for _ in 0..5 {
        host.tick(0.02, &mut || true);
    }
    assert!(frames(&host.take_reports()).is_empty(), "the page has not drawn the first one");
    host.command(Command::Drawn(number));
    host.tick(0.02, &mut || true);
    let reports = host.take_reports();
    assert!(frames(&reports).len() == 1 && !frames(&reports)[0].whole);
}

#[test]
fn time_runs_at_its_speed_and_stands_when_it_is_told_to() {
    let mut host = host();
    let before = host.session().now();
    host.command(Command::Speed(8.0));
    host.command(Command::Play(true));
    for _ in 0..50 {
        tick(&mut host, 0.02);
    }
    let passed = host.session().now().since(before).as_secs_f64();
    assert!((passed - 8.0).abs() < 0.001, "one second at 8×: {passed}");
    host.command(Command::Play(false));
    let reports = tick(&mut host, 0.02);
    assert!(frames(&reports)[0].hash.is_some(), "while time stands the state's hash is told");
    assert!(frames(&tick(&mut host, 1.0)).is_empty(), "nothing is drawn again for nothing");
}

#[test]
fn what_the_user_does_is_answered_marked_and_saved() {
    let mut host = host();
    host.command(Command::Act { id: 7, action: apply(CONFIG_MAP) });
    let reports = tick(&mut host, 0.0);
    let lines = reports.iter().find_map(|report| match report {
        Report::Done { id: 7, outcome: Ok(answer) } => Some(answer.lines.clone()),
        _ => None,
    });
    assert_eq!(lines.expect("an answer"), ["configmap/settings created"]);
    let marks: Vec<String> = frames(&reports)[0].marks.iter().map(|mark| mark.text.to_string()).collect();
    assert!(marks.contains(&"You applied a.yaml.".to_owned()), "{marks:?}");
    let pulses: Vec<_> = frames(&reports)[0].pulses.iter().map(|pulse| (pulse.kind.as_str(), pulse.write)).collect();
    assert!(pulses.contains(&("ConfigMap", true)), "{pulses:?}");

    let mut other = Host::new();
    other.command(Command::Open { start: Start::Text(saved(&reports).expect("saved").to_owned()), play: false });
    let reports = tick(&mut other, 0.0);
    assert_eq!(other.session().hash(), host.session().hash());
    assert!(reports.iter().any(|report| matches!(report, Report::Opened { files, .. } if files[0].text == CONFIG_MAP)));
}

#[test]
fn trying_changes_nothing_and_says_what_is_wrong_where() {
    let mut host = host();
    let hash = host.session().hash();
    let text =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: a\n    imagee: nginx\n";
    host.command(Command::Try { id: 1, action: apply(text) });
    let reports = host.take_reports();
    let [Report::Tried { id: 1, outcome: Ok(answer) }] = reports.as_slice() else { panic!("{reports:?}") };
    let problem = &answer.problems[0];
    assert_eq!((problem.line, problem.column), (8, 5));
    assert!(problem.message.contains("unknown field \"spec.containers[0].imagee\""), "{}", problem.message);
    assert_eq!(problem.hint.as_ref().map(ToString::to_string).as_deref(), Some("Did you mean image?"));
    assert_eq!(host.session().hash(), hash);
}

#[test]
fn acting_in_the_past_hands_over_what_lay_ahead() {
    let mut host = host();
    host.command(Command::Act { id: 1, action: apply(CONFIG_MAP) });
    host.command(Command::Skip(60.0));
    for _ in 0..50 {
        tick(&mut host, 0.02);
    }
    let (end, hash) = (host.session().now(), host.session().hash());
    let past = Time::from_micros(end.as_micros() - 30_000_000);
    host.command(Command::Seek(past));
    assert_eq!(host.session().now(), past);
    host.command(Command::Act { id: 2, action: apply(&CONFIG_MAP.replace("settings", "others")) });
    let reports = host.take_reports();
    let abandoned = reports.iter().find_map(|report| match report {
        Report::Abandoned { text, end, at } => Some((text.clone(), *end, *at)),
        _ => None,
    });
    let (text, told_end, at) = abandoned.expect("the other branch");
    assert_eq!((told_end, at), (end, past));
    host.command(Command::Open { start: Start::Text(text), play: false });
    assert_eq!(host.session().hash(), hash, "the other branch is as it was");
}

#[test]
fn what_cannot_be_opened_leaves_the_session_alone() {
    let mut host = host();
    let hash = host.session().hash();
    for (text, part) in [("#v1/abc", "damaged"), ("v7/x", "version"), ("{\"seed\": \"x\"}", "no Kubetab session")] {
        host.command(Command::Open { start: Start::Text(text.to_owned()), play: true });
        let reports = host.take_reports();
        assert!(matches!(reports.as_slice(), [Report::NotOpened(why)] if why.contains(part)), "{text}: {reports:?}");
    }
    assert_eq!(host.session().hash(), hash);
}

#[test]
fn a_step_ends_with_something_to_see() {
    let mut host = host();
    host.command(Command::Act { id: 1, action: apply("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n") });
    tick(&mut host, 0.0);
    host.command(Command::Step);
    let reports = tick(&mut host, 0.0);
    let pulses = &frames(&reports)[0].pulses;
    assert!(!pulses.is_empty(), "the controllers are told of the namespace, or write its account");
}

#[test]
fn whoever_is_selected_is_told_about_until_they_are_gone() {
    let mut host = host();
    host.command(Command::Act { id: 1, action: apply(CONFIG_MAP) });
    tick(&mut host, 0.0);
    let subject = crate::view::Subject::new("ConfigMap", "default", "settings");
    host.command(Command::Select(Some(Selection::Object(subject.clone()))));
    let reports = host.take_reports();
    let [Report::Details(Some(Details::Object(details)))] = reports.as_slice() else { panic!("{reports:?}") };
    assert!(details.yaml.contains("  name: settings\n") && details.editable.starts_with("apiVersion: v1\ndata:\n"));
    assert_eq!(details.made[0].sentence.to_string(), "You applied ConfigMap settings.");
    let object = crate::session::ObjectName {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: "default".to_owned(),
        name: "settings".to_owned(),
    };
    let delete = Action::Delete { object, propagation: None, grace_period_seconds: None };
    host.command(Command::Act { id: 2, action: delete });
    let reports = tick(&mut host, 0.0);
    assert!(reports.contains(&Report::Details(Some(Details::Gone(
        subject.clone(),
        why::chain(host.session().cluster().api().etcd(), host.session().cluster().api().etcd().revision()),
    )))));
}

#[test]
fn the_first_lesson_stops_where_its_words_say() {
    let mut host = Host::new();
    host.command(Command::Open { start: Start::Scenario("how-a-pod-comes-to-be".to_owned()), play: false });
    let reports = host.take_reports();
    let opened = reports.iter().find_map(|report| match report {
        Report::Opened { files, lesson: Some(lesson), .. } => Some((files.clone(), lesson.clone())),
        _ => None,
    });
    let (files, lesson) = opened.expect("it has files and a lesson");
    assert_eq!(lesson.steps[1].apply, ["web.yaml"]);
    let action = Action::Apply { files, namespace: "default".to_owned(), dry_run: false };
    host.command(Command::Act { id: 1, action });
    let seen = |host: &Host| {
        let etcd = host.session().cluster().api().etcd();
        let pod = etcd.range(Kind::Pod, Some("default")).next();
        let node = pod.and_then(|(_, pod)| pod.to_value()["spec"]["nodeName"].as_str().map(str::to_owned));
        (etcd.count(Kind::ReplicaSet), etcd.count(Kind::Pod), node.is_some())
    };
    assert_eq!(seen(&host), (0, 0, false), "applying is all that kubectl does");
    for (step, expected) in [(2, (1, 0, false)), (3, (1, 1, false)), (4, (1, 1, true))] {
        host.command(Command::Perform { id: 2, step });
        assert_eq!(seen(&host), expected, "after step {step}");
    }
}

/// What is typed while time runs in ticks is played again to the same state.
#[test]
fn a_typed_lesson_is_kept_exactly() {
    use crate::view::terminal::TerminalInput;
    use crate::view::terminal::tests::FIRST_LESSON;
    let mut host = Host::new();
    host.command(Command::Open { start: Start::New, play: true });
    let lines = FIRST_LESSON;
    let check = |host: &Host, after: &str| {
        let again = Session::from_log(host.session().log());
        assert_eq!(format!("{:x}", again.hash()), format!("{:x}", host.session().hash()), "after {after}");
    };
    for line in lines {
        host.command(Command::Terminal(TerminalInput::Line { text: line.to_owned(), files: Vec::new() }));
        for tick in 0..150 {
            // The browser gives now more, now less time.
            let mut turns = 0;
            host.tick(0.013 + 0.001 * f64::from(tick % 7), &mut || {
                turns += 1;
                turns % 3 != tick % 3
            });
            for report in host.take_reports() {
                if let Report::Frame(frame) = report {
                    host.command(Command::Drawn(frame.number));
                }
            }
            if tick % 40 == 7 {
                check(&host, &format!("{line}, tick {tick}"));
            }
        }
    }
}
