//! A file as text, and as code: the same text with everything that is not code blanked out.

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the root of the project, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// `text` with comments and the insides of literals turned into spaces; every remaining
    /// character keeps its line and column.
    pub(crate) code: String,
}

/// A function found in a file.
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of the word `fn`, counted from 0.
    pub(crate) line: usize,
    /// The line of the last closing brace, or of the semicolon of one without a body.
    pub(crate) end: usize,
    /// Everything before the body, on one line.
    pub(crate) signature: String,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let code = blank(&text);
        Self { path: path.into(), text, code }
    }

    /// The module path below `src`: `["proto", "h1"]` for `src/proto/h1/mod.rs`. `None` elsewhere.
    pub(crate) fn module(&self) -> Option<Vec<&str>> {
        let path = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let mut segments: Vec<&str> = path.split('/').collect();
        if segments.last().is_some_and(|last| *last == "mod") {
            segments.pop();
        }
        Some(segments)
    }

    /// The code up to the file's tests; nothing of a file that holds only tests.
    pub(crate) fn shipped(&self) -> &str {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return "";
        }
        match self.code.find("#[cfg(test)]") {
            Some(end) => &self.code[..end],
            None => &self.code,
        }
    }

    /// Every function of the file, nested ones too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (start, _) in self.code.match_indices("fn ") {
            let before = self.code[..start].chars().next_back();
            if before.is_some_and(is_word) {
                continue;
            }
            let name: String = self.code[start + 3..].chars().take_while(|c| is_word(*c)).collect();
            // Without a name it is the type of a function pointer.
            if name.is_empty() {
                continue;
            }
            functions.push(self.function(name, start));
        }
        functions
    }

    fn function(&self, name: String, start: usize) -> Function {
        let line_of = |at: usize| self.code[..at].matches('\n').count();
        let (mut nesting, mut body, mut end) = (0_i32, None, self.code.len());
        for (at, c) in self.code[start..].char_indices() {
            match c {
                '(' | '[' => nesting += 1,
                ')' | ']' => nesting -= 1,
                '{' => {
                    body = body.or(Some(start + at));
                    nesting += 1;
                }
                '}' => nesting -= 1,
                _ => {}
            }
            let ended = match body {
                Some(_) => c == '}' && nesting == 0,
                None => c == ';' && nesting == 0,
            };
            if ended {
                end = start + at;
                break;
            }
        }
        let line = line_of(start);
        let line_start = self.code[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let signature = self.code[line_start..body.unwrap_or(end)].replace('\n', " ");
        Function { name, line, end: line_of(end), signature }
    }
}

/// Whether a character can be part of a name.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Turns comments, and what is inside of string and character literals, into spaces.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let length = comment(&chars[at..]).or_else(|| literal(&chars, at)).unwrap_or(0);
        if length == 0 {
            code.push(chars[at]);
            at += 1;
            continue;
        }
        for c in &chars[at..at + length] {
            code.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at += length;
    }
    code
}

/// The length of the comment that begins here, if one does.
fn comment(rest: &[char]) -> Option<usize> {
    match rest {
        ['/', '/', ..] => Some(rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())),
        ['/', '*', ..] => {
            let (mut depth, mut at) = (0, 0);
            while at < rest.len() {
                match rest[at..] {
                    ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
                    ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            Some(at)
        }
        _ => None,
    }
}

/// The length of the string or character literal that begins here, if one does.
fn literal(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let after_word = at > 0 && is_word(chars[at - 1]);
    match rest {
        ['"', ..] => Some(quoted(rest, '"')),
        ['r' | 'b', ..] if !after_word => {
            let prefix = rest.iter().take_while(|c| matches!(c, 'r' | 'b')).count();
            let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
            let raw = rest[..prefix].contains(&'r') && prefix <= 2;
            if !raw || rest.get(prefix + hashes) != Some(&'"') {
                return None;
            }
            let mut end: Vec<char> = vec!['"'];
            end.extend(std::iter::repeat_n('#', hashes));
            let inside = prefix + hashes + 1;
            let length = rest[inside..].windows(end.len()).position(|window| window == end);
            Some(length.map_or(rest.len(), |length| inside + length + end.len()))
        }
        // A quote with one character behind it, or with an escape, is no lifetime.
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => Some(quoted(rest, '\'')),
        _ => None,
    }
}

/// The length of a literal between quotes with escapes.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = concat!(
        "let a = \"fn x\\\"\"; // fn y\n/* fn /* z */ */ let b = 'f'; ",
        "let c: &'static str = r#\"fn \"q\" \"#; fn real() {}"
    );
    let source = Source::new("src/a.rs", text);
    assert_eq!(source.code.matches("fn ").count(), 1, "{}", source.code);
    assert!(source.code.contains("let b") && source.code.contains("'static"));
    assert_eq!(source.code.matches('\n').count(), 1);
}

#[test]
fn functions_are_found_with_their_ends() {
    let text = "fn a(x: [u8; 2]) -> u8 {\n    if x[0] == b'}' { 1 } else { 2 }\n}\n\
                trait T { fn b(&self); }\ntype F = fn (u8);\n";
    let functions = Source::new("src/a.rs", text).functions();
    let found: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.end)).collect();
    assert_eq!(found, [("a", 0, 2), ("b", 3, 3)]);
}

#[test]
fn tests_are_not_shipped() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {}";
    assert_eq!(Source::new("src/a.rs", text).shipped(), "fn a() {}\n");
    assert_eq!(Source::new("src/a/tests.rs", text).shipped(), "");
    assert_eq!(Source::new("src/a/tests/b.rs", text).shipped(), "");
}

#[test]
fn a_file_knows_its_module() {
    let module = |path| Source::new(path, "").module().map(|segments| segments.join("::"));
    assert_eq!(module("src/proto/h1/mod.rs").as_deref(), Some("proto::h1"));
    assert_eq!(module("src/error.rs").as_deref(), Some("error"));
    assert_eq!(module("tests/tidy.rs"), None);
}
