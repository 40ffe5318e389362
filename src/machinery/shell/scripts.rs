//! Scripts that were read before.

use std::sync::Arc;

use super::parser::{SyntaxError, parse};
use super::syntax::List;

/// The scripts that were read last. What a machine starts again and again, such as the entrypoint of an image, it reads
/// once: to read one takes longer than to run it.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    /// The newest last.
    known: Vec<(Arc<str>, Arc<List>)>,
}

impl Scripts {
    /// How many are kept.
    const COUNT_MAX: usize = 8;
    /// Longer ones are read anew, in bytes.
    const LENGTH_MAX: usize = 16 << 10;

    /// Parses a whole script, or finds what that came to before.
    ///
    /// # Errors
    /// When the text is no script.
    pub(super) fn parse(&mut self, text: &str) -> Result<Arc<List>, SyntaxError> {
        if let Some(place) = self.known.iter().rposition(|(known, _)| **known == *text) {
            let script = self.known.remove(place);
            let list = Arc::clone(&script.1);
            self.known.push(script);
            return Ok(list);
        }
        let list = parse(text)?;
        if text.len() <= Self::LENGTH_MAX {
            if self.known.len() == Self::COUNT_MAX {
                self.known.remove(0);
            }
            self.known.push((text.into(), Arc::clone(&list)));
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept() {
        let mut scripts = Scripts::default();
        let first = scripts.parse("echo 0").expect("it is a script");
        for number in 1..Scripts::COUNT_MAX {
            scripts.parse(&format!("echo {number}")).expect("it is a script");
        }
        assert!(Arc::ptr_eq(&first, &scripts.parse("echo 0").expect("it is a script")), "it is not read again");
        scripts.parse("echo more").expect("it is a script");
        assert!(scripts.known.iter().any(|(text, _)| &**text == "echo 0"), "it was used after the others");
        assert!(!scripts.known.iter().any(|(text, _)| &**text == "echo 1"), "the one that was not used longest goes");
        assert!(scripts.parse("if true; then").is_err());
        let long = format!("echo {}", "x".repeat(Scripts::LENGTH_MAX));
        scripts.parse(&long).expect("it is a script");
        assert_eq!(scripts.known.len(), Scripts::COUNT_MAX);
    }
}
