//! `history`, and what `!` stands for on a line that is typed.

use super::super::io::CommandIo;
use super::super::shell::Shell;

/// How many lines are remembered.
const LINES_MAX: usize = 500;

/// Remembers a command that was typed, unless it is the one before it again.
pub(in super::super) fn remember(shell: &mut Shell, text: &str) {
    let line = text.trim_end().to_owned();
    if line.is_empty() {
        return;
    }
    if shell.history.len() >= LINES_MAX {
        shell.history.remove(0);
    }
    shell.history.push(line);
}

/// `history`, `history 5`, `history -c`.
pub(super) fn history(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let first = arguments.first().map(String::as_str);
    if first == Some("-c") {
        shell.history.clear();
        return 0;
    }
    let wanted = first.and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let from = shell.history.len().saturating_sub(wanted);
    for (at, line) in shell.history.iter().enumerate().skip(from) {
        io.out(&format!("{:>5}  {line}\n", at + 1));
    }
    0
}

/// A typed line with `!!`, `!$`, `!7`, `!-2` and `!text` put in; nothing when it has none of them, and the event when
/// there is none like it.
pub(in super::super) fn expanded(line: &str, history: &[String]) -> Result<Option<String>, String> {
    let letters: Vec<char> = line.chars().collect();
    let (mut text, mut at, mut quoted, mut changed) = (String::new(), 0, false, false);
    while let Some(&letter) = letters.get(at) {
        at += 1;
        let next = letters.get(at).copied();
        match (letter, next) {
            ('\'', _) => quoted = !quoted,
            ('\\', Some(escaped)) if !quoted => {
                text.push('\\');
                text.push(escaped);
                at += 1;
                continue;
            }
            // Behind these it is an exclamation mark, and so is the shell's `!` before a command.
            ('!', Some(next)) if !quoted && !" \t\n=(\"".contains(next) && !text.ends_with(['[', '$', '{']) => {
                let event: String = match next {
                    '!' | '$' => next.to_string(),
                    _ => letters[at..].iter().take_while(|c| c.is_alphanumeric() || "-_./".contains(**c)).collect(),
                };
                if event.is_empty() {
                    text.push('!');
                    continue;
                }
                text.push_str(found(&event, history).ok_or_else(|| format!("!{event}: event not found"))?);
                at += event.chars().count();
                changed = true;
                continue;
            }
            _ => {}
        }
        text.push(letter);
    }
    Ok(changed.then_some(text))
}

fn found<'a>(event: &str, history: &'a [String]) -> Option<&'a str> {
    let line = match event {
        "!" => history.last(),
        "$" => return history.last()?.split_whitespace().last(),
        _ => match event.parse::<i64>() {
            Ok(number) if number > 0 => history.get(usize::try_from(number).ok()?.checked_sub(1)?),
            Ok(number) => history.len().checked_sub(usize::try_from(-number).ok()?).and_then(|at| history.get(at)),
            Err(_) => history.iter().rev().find(|line| line.starts_with(event)),
        },
    };
    line.map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::expanded;

    #[test]
    fn events_are_put_in() {
        let history = ["kubectl get pods".to_owned(), "ls -l web.yaml".to_owned()];
        let put_in = |line: &str| expanded(line, &history);
        assert_eq!(put_in("!! | wc"), Ok(Some("ls -l web.yaml | wc".to_owned())));
        assert_eq!(put_in("cat !$"), Ok(Some("cat web.yaml".to_owned())));
        assert_eq!(
            put_in("!1 -A; !-1; !kub"),
            Ok(Some("kubectl get pods -A; ls -l web.yaml; kubectl get pods".into()))
        );
        assert_eq!(put_in("!nosuch"), Err("!nosuch: event not found".to_owned()));
        for plain in ["echo '!!'", "[ ! -f x ]", "echo hi!", "! true", "echo \\!!", "[ a != b ]", "echo $!"] {
            assert_eq!(put_in(plain), Ok(None), "{plain}");
        }
    }
}
