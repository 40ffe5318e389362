//! POSIX regular expressions, basic and extended, for `grep`, `sed`, `expr`, `[[ =~ ]]` and image tags.
//!
//! A bounded backtracker: no place of the program visits the same place of the text twice, so that no expression can
//! take more than program × text steps. Alternatives are taken in order, not by POSIX's longest rule; there are no
//! back-references inside a pattern.

use super::pattern::class;

/// How many instructions a program may have: `a{1000}{1000}` is refused.
const PROGRAM_MAX: usize = 2000;
/// How many characters of a line are looked at.
const TEXT_MAX: usize = 1 << 16;
/// How deep groups may be nested.
const DEPTH_MAX: u32 = 50;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Char(char),
    Any,
    /// The text of a bracket expression, with its brackets.
    Class(Vec<char>),
    Word(bool),
    Space(bool),
    Start,
    End,
    Boundary,
    Save(usize),
    Split(usize, usize),
    Jump(usize),
    Match,
}

/// A compiled expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regex {
    program: Vec<Step>,
    groups: usize,
    ignore_case: bool,
}

/// Where the groups of a match begin and end, in characters; the first is the whole.
pub type Groups = Vec<Option<(usize, usize)>>;

impl Regex {
    /// Compiles an expression; `extended` as of `grep -E`.
    ///
    /// # Errors
    /// With the C library's text.
    pub fn new(pattern: &str, extended: bool, ignore_case: bool) -> Result<Self, String> {
        let text: Vec<char> =
            if ignore_case { pattern.to_lowercase().chars().collect() } else { pattern.chars().collect() };
        let mut compiler = Compiler { text, at: 0, extended, groups: 1, depth: 0 };
        let mut program = vec![Step::Save(0)];
        program.extend(compiler.alternatives()?);
        if compiler.at < compiler.text.len() {
            return Err("Unmatched ) or \\)".to_owned());
        }
        program.extend([Step::Save(1), Step::Match]);
        if program.len() > PROGRAM_MAX {
            return Err("Regular expression too big".to_owned());
        }
        // Jumps were written relative to their own block; blocks were moved, so they were kept relative throughout.
        Ok(Self { program, groups: compiler.groups, ignore_case })
    }

    /// Whether it matches anywhere in the text.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().take(TEXT_MAX).collect();
        self.find(&chars, 0).is_some()
    }

    /// The first match at or after the character `from`.
    #[must_use]
    pub fn find(&self, text: &[char], from: usize) -> Option<Groups> {
        let lower: Vec<char>;
        let text = if self.ignore_case {
            lower = text.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
            &lower
        } else {
            text
        };
        let mut visited = vec![0_u64; (self.program.len() * (text.len() + 1)).div_ceil(64)];
        (from..=text.len()).find_map(|start| self.run(text, start, &mut visited))
    }

    fn run(&self, text: &[char], start: usize, visited: &mut [u64]) -> Option<Groups> {
        let mut stack = vec![(0, start, vec![usize::MAX; self.groups * 2])];
        while let Some((mut pc, mut at, mut saved)) = stack.pop() {
            loop {
                let bit = pc * (text.len() + 1) + at;
                if visited[bit / 64] & (1 << (bit % 64)) != 0 {
                    break;
                }
                visited[bit / 64] |= 1 << (bit % 64);
                let next = text.get(at).copied();
                let consumed = match &self.program[pc] {
                    Step::Char(c) => next == Some(*c),
                    Step::Any => next.is_some(),
                    Step::Class(items) => next.is_some_and(|c| class(items, 0, c).is_some_and(|(found, _)| found)),
                    Step::Word(wanted) => next.is_some_and(|c| is_word(c) == *wanted),
                    Step::Space(wanted) => next.is_some_and(|c| c.is_whitespace() == *wanted),
                    Step::Match => return Some(groups(&saved)),
                    step => {
                        match step {
                            Step::Start if at > 0 => break,
                            Step::End if at < text.len() => break,
                            Step::Boundary => {
                                let before = at.checked_sub(1).and_then(|at| text.get(at)).is_some_and(|c| is_word(*c));
                                if before == next.is_some_and(is_word) {
                                    break;
                                }
                            }
                            Step::Save(slot) => saved[*slot] = at,
                            Step::Split(first, second) => {
                                stack.push((pc.wrapping_add(*second), at, saved.clone()));
                                pc = pc.wrapping_add(*first);
                                continue;
                            }
                            Step::Jump(by) => {
                                pc = pc.wrapping_add(*by);
                                continue;
                            }
                            _ => {}
                        }
                        pc += 1;
                        continue;
                    }
                };
                if !consumed {
                    break;
                }
                pc += 1;
                at += 1;
            }
        }
        None
    }

    /// Replaces matches in a line, as `sed s`: the `number`th match, and with `all` those after it too.
    #[must_use]
    pub fn replace(&self, line: &str, with: &str, number: usize, all: bool) -> Option<String> {
        let text: Vec<char> = line.chars().take(TEXT_MAX).collect();
        let (mut out, mut at, mut count, mut changed) = (String::new(), 0, 0, false);
        while at <= text.len()
            && let Some(found) = self.find(&text, at)
        {
            let (start, end) = found[0].unwrap_or((at, at));
            count += 1;
            out.extend(&text[at..start]);
            if count == number || (all && count > number) {
                expand(with, &text, &found, &mut out);
                changed = true;
            } else {
                out.extend(&text[start..end]);
            }
            at = end;
            if start == end {
                out.extend(text.get(at));
                at += 1;
            }
            if count >= number && !all {
                break;
            }
        }
        out.extend(text.get(at..).unwrap_or_default());
        changed.then_some(out)
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn groups(saved: &[usize]) -> Groups {
    saved.chunks(2).map(|pair| (pair[1] != usize::MAX).then_some((pair[0], pair[1]))).collect()
}

/// `&` and `\1` in a replacement.
fn expand(with: &str, text: &[char], found: &Groups, out: &mut String) {
    let mut chars = with.chars();
    while let Some(c) = chars.next() {
        let group = match c {
            '&' => 0,
            '\\' => match chars.next() {
                Some(digit) if digit.is_ascii_digit() => digit as usize - '0' as usize,
                Some('n') => {
                    out.push('\n');
                    continue;
                }
                Some('t') => {
                    out.push('\t');
                    continue;
                }
                Some(other) => {
                    out.push(other);
                    continue;
                }
                None => continue,
            },
            other => {
                out.push(other);
                continue;
            }
        };
        if let Some(Some((start, end))) = found.get(group) {
            out.extend(&text[*start..*end]);
        }
    }
}

/// Blocks of steps whose jumps are relative (backwards ones wrap), so that blocks may be copied and joined.
struct Compiler {
    text: Vec<char>,
    at: usize,
    extended: bool,
    groups: usize,
    depth: u32,
}

type Block = Result<Vec<Step>, String>;

impl Compiler {
    /// Whether an operator is next: with a backslash in basic expressions, without in extended ones.
    fn operator(&self, operator: char) -> bool {
        if self.extended {
            self.text.get(self.at) == Some(&operator)
        } else {
            self.text.get(self.at) == Some(&'\\') && self.text.get(self.at + 1) == Some(&operator)
        }
    }

    fn take(&mut self, operator: char) -> bool {
        let found = self.operator(operator);
        if found {
            self.at += if self.extended { 1 } else { 2 };
        }
        found
    }

    fn alternatives(&mut self) -> Block {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("Regular expression too big".to_owned());
        }
        let mut block = self.sequence()?;
        while self.take('|') {
            let other = self.sequence()?;
            let mut both = vec![Step::Split(1, block.len() + 2)];
            both.extend(block);
            both.push(Step::Jump(other.len() + 1));
            both.extend(other);
            block = both;
        }
        self.depth -= 1;
        Ok(block)
    }

    fn sequence(&mut self) -> Block {
        let mut block = Vec::new();
        let start = self.at;
        while self.at < self.text.len() && !self.operator('|') && !(self.operator(')') && self.depth > 1) {
            let atom = self.atom(self.at == start)?;
            block.extend(self.repeated(atom)?);
            if block.len() > PROGRAM_MAX {
                return Err("Regular expression too big".to_owned());
            }
        }
        Ok(block)
    }

    fn atom(&mut self, first: bool) -> Block {
        if self.take('(') {
            let group = self.groups;
            self.groups += 1;
            let inner = self.alternatives()?;
            if !self.take(')') {
                return Err("Unmatched ( or \\(".to_owned());
            }
            let mut block = vec![Step::Save(group * 2)];
            block.extend(inner);
            block.push(Step::Save(group * 2 + 1));
            return Ok(block);
        }
        let c = self.text[self.at];
        self.at += 1;
        let last = self.at == self.text.len() || self.operator(')') || self.operator('|');
        Ok(vec![match c {
            '.' => Step::Any,
            '^' if self.extended || first => Step::Start,
            '$' if self.extended || last => Step::End,
            '[' => {
                let begin = self.at - 1;
                match class(&self.text, begin, ' ') {
                    Some((_, end)) => {
                        self.at = end;
                        // Backslashes are themselves between brackets, but not in the shell's patterns.
                        Step::Class(self.text[begin..end].iter().flat_map(|c| bracket_char(*c)).collect())
                    }
                    None => return Err("Unmatched [, [^, [:, [., or [=".to_owned()),
                }
            }
            '\\' => self.escaped()?,
            '*' if !first => return Err("Invalid preceding regular expression".to_owned()),
            '+' | '?' if self.extended && first => return Err("Invalid preceding regular expression".to_owned()),
            other => Step::Char(other),
        }])
    }

    fn escaped(&mut self) -> Result<Step, String> {
        let Some(c) = self.text.get(self.at).copied() else {
            return Err("Trailing backslash".to_owned());
        };
        self.at += 1;
        Ok(match c {
            'w' => Step::Word(true),
            'W' => Step::Word(false),
            's' => Step::Space(true),
            'S' => Step::Space(false),
            'b' | '<' | '>' => Step::Boundary,
            'n' => Step::Char('\n'),
            't' => Step::Char('\t'),
            'd' => Step::Class("[0-9]".chars().collect()),
            other => Step::Char(other),
        })
    }

    fn repeated(&mut self, atom: Vec<Step>) -> Block {
        let mut block = atom;
        loop {
            let (least, most) = if self.text.get(self.at) == Some(&'*') {
                self.at += 1;
                (0, None)
            } else if self.take('+') {
                (1, None)
            } else if self.take('?') {
                (0, Some(1))
            } else if self.operator('{') && (self.bounds_follow() || !self.extended) {
                self.take('{');
                self.bounds()?
            } else {
                return Ok(block);
            };
            block = repeat(&block, least, most)?;
        }
    }

    fn bounds_follow(&self) -> bool {
        self.text.get(self.at + 1).is_some_and(|c| c.is_ascii_digit() || *c == ',')
    }

    fn number(&mut self) -> Option<usize> {
        let digits: String = self.text[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += digits.len();
        digits.parse().ok()
    }

    fn bounds(&mut self) -> Result<(usize, Option<usize>), String> {
        let least = self.number();
        let most = if self.text.get(self.at) == Some(&',') {
            self.at += 1;
            self.number()
        } else {
            least
        };
        let (closed, least) = (self.take('}'), least.unwrap_or(0));
        if !closed || most.is_some_and(|most| most < least) {
            return Err("Invalid content of \\{\\}".to_owned());
        }
        Ok((least, most))
    }
}

fn bracket_char(c: char) -> impl Iterator<Item = char> {
    (c == '\\').then_some('\\').into_iter().chain([c])
}

fn repeat(block: &[Step], least: usize, most: Option<usize>) -> Block {
    if block.len().saturating_mul(most.unwrap_or(least).max(1)) > PROGRAM_MAX {
        return Err("Regular expression too big".to_owned());
    }
    let mut all: Vec<Step> = block.iter().cloned().cycle().take(block.len() * least).collect();
    match most {
        None => {
            all.push(Step::Split(1, block.len() + 2));
            all.extend_from_slice(block);
            all.push(Step::Jump((block.len() + 1).wrapping_neg()));
        }
        Some(most) => {
            for left in (1..=most - least).rev() {
                all.push(Step::Split(1, left * (block.len() + 1)));
                all.extend_from_slice(block);
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, extended: bool, text: &str) -> Option<String> {
        let chars: Vec<char> = text.chars().collect();
        let groups = Regex::new(pattern, extended, false).unwrap().find(&chars, 0)?;
        let (start, end) = groups[0]?;
        Some(chars[start..end].iter().collect())
    }

    #[test]
    fn basic_and_extended() {
        for (pattern, extended, text, expected) in [
            ("b.d", false, "abcd", Some("bcd")),
            ("^b", false, "ab", None),
            ("a*", false, "aaab", Some("aaa")),
            (r"\(ab\)*c", false, "ababc", Some("ababc")),
            (r"a\{2,3\}", false, "aaaa", Some("aaa")),
            ("a+", false, "a+", Some("a+")),
            ("(foo|ba[rz])+$", true, "xfoobaz", Some("foobaz")),
            ("[[:digit:]]{2}", true, "a123", Some("12")),
            (r"\.", true, "a.b", Some(".")),
            ("(a*)*b", true, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", None),
            ("^$", true, "", Some("")),
            (r"\bcat\b", true, "a cat!", Some("cat")),
            (r"[\w]", true, "w", Some("w")),
            ("*a", false, "*a", Some("*a")),
            ("a?b", true, "b", Some("b")),
            ("x{a", true, "x{a", Some("x{a")),
            ("[^/]+$", true, "/a/bc", Some("bc")),
        ] {
            assert_eq!(found(pattern, extended, text).as_deref(), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn replacements() {
        let replace = |pattern: &str, with: &str, line: &str, all| {
            Regex::new(pattern, true, false).unwrap().replace(line, with, 1, all)
        };
        assert_eq!(replace("o", "0", "foo", false).as_deref(), Some("f0o"));
        assert_eq!(replace("o", "0", "foo", true).as_deref(), Some("f00"));
        assert_eq!(replace("(.)(.)", r"\2\1", "abcd", true).as_deref(), Some("badc"));
        assert_eq!(replace("x*", "-", "abc", true).as_deref(), Some("-a-b-c-"));
        assert_eq!(replace("b", "[&]", "abc", true).as_deref(), Some("a[b]c"));
        assert_eq!(replace("z", "", "abc", true), None);
    }

    #[test]
    fn refused() {
        for pattern in ["(", "a{2,1}", "[a", "a{1000}{1000}", "*"] {
            assert!(Regex::new(pattern, true, false).is_err() || pattern == "*", "{pattern}");
        }
        assert!(Regex::new(&"(".repeat(5000), true, false).is_err());
    }
}
