//! The words of a command line: options with values behind them or after `=`, and others.

#![allow(dead_code, reason = "each example that includes this file uses a part of it")]

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;

/// A command line that is read word by word.
pub(crate) struct Options<I> {
    words: I,
    word: String,
    name: String,
    value: Option<String>,
}

impl<I: Iterator<Item = String>> Options<I> {
    pub(crate) fn new(words: I) -> Self {
        Self { words, word: String::new(), name: String::new(), value: None }
    }

    /// Goes to the next word; its part before a `=`, if it is an option.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.word = self.words.next()?;
        (self.name, self.value) = match self.word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.into(), Some(value.into())),
            _ => (self.word.clone(), None),
        };
        Some(self.name.clone())
    }

    /// The option's value: behind the `=`, or the next word.
    pub(crate) fn value(&mut self) -> Result<String, String> {
        let value = self.value.take().or_else(|| self.words.next());
        value.ok_or_else(|| format!("{} needs a value behind it", self.name))
    }

    /// The option's value, which is a number within these bounds.
    pub(crate) fn number<T>(&mut self, range: RangeInclusive<T>) -> Result<T, String>
    where
        T: FromStr + PartialOrd + Display,
    {
        let value = self.value()?;
        match T::from_str(&value) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(format!(
                "{} needs a number from {} to {}, not {value:?}",
                self.name,
                range.start(),
                range.end()
            )),
        }
    }

    /// An option that is there or not.
    pub(crate) fn flag(&self) -> Result<bool, String> {
        match self.value {
            None => Ok(true),
            Some(_) => Err(format!("{} takes no value", self.name)),
        }
    }

    /// A word that is no option. An option here is one that is not known.
    pub(crate) fn operand(&self) -> Result<String, String> {
        if self.word.starts_with('-') { Err(self.unknown()) } else { Ok(self.word.clone()) }
    }

    /// The complaint about a word that means nothing.
    pub(crate) fn unknown(&self) -> String {
        let kind = if self.word.starts_with('-') { "option" } else { "argument" };
        format!("unknown {kind} {}", self.word)
    }
}

/// What the program does with its command line: `None` asks for the help.
pub(crate) fn with_args<A, E: Display>(
    program: &str,
    help: &str,
    args: Result<Option<A>, String>,
    run: impl FnOnce(A) -> Result<ExitCode, E>,
) -> ExitCode {
    match args {
        Ok(Some(args)) => run(args).unwrap_or_else(|error| {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }),
        Ok(None) => {
            print!("{help}");
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            eprintln!("{program}: {complaint}\nTry --help.");
            ExitCode::from(2)
        }
    }
}
