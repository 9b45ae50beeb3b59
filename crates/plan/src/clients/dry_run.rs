//! What the rules of a recipe do to the names of a model, found out before any program reads them.

use std::collections::HashMap;

use regex::Regex;

/// How a client compares a pattern with a name.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    /// The name itself.
    Whole(String),
    /// The name, or its end behind a dot.
    Tail(String),
    /// An expression that is searched for anywhere; anchors are in it.
    Regex(Regex),
}

impl Matcher {
    /// An expression that may begin anywhere (`std::regex_search`, `Regex::is_match`).
    pub(super) fn search(pattern: &str) -> Result<Self, String> {
        let anchored = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
        match anchored.and_then(literal) {
            Some(name) => Ok(Self::Whole(name)),
            None => compile(pattern.to_owned()),
        }
    }

    /// An expression that has to match from the start of the name and may end before it does (Python's `re.match`).
    pub(super) fn at_start(pattern: &str) -> Result<Self, String> {
        let open = pattern.strip_prefix('^').unwrap_or(pattern);
        match open.strip_suffix('$').and_then(literal) {
            Some(name) => Ok(Self::Whole(name)),
            None => compile(format!("^(?:{pattern})")),
        }
    }

    /// An expression for the whole name, or for its end behind a dot (peft's keys).
    pub(super) fn tail(pattern: &str) -> Result<Self, String> {
        match literal(pattern) {
            Some(name) => Ok(Self::Tail(name)),
            None => compile(format!(r"^(?:.*\.)?(?:{pattern})$")),
        }
    }

    /// A wildcard pattern of shells for the whole name (Python's `fnmatch`).
    pub(super) fn wildcard(pattern: &str) -> Result<Self, String> {
        if !pattern.contains(['*', '?', '[']) {
            return Ok(Self::Whole(pattern.to_owned()));
        }
        if pattern.contains('[') {
            return Err(format!("the pattern {pattern:?} has a set of characters"));
        }
        compile(format!("^{}$", regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")))
    }
}

/// What an expression says that stands for one text only; nothing for any other.
fn literal(pattern: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.push(characters.next().filter(|c| !c.is_alphanumeric())?),
            '.' | '^' | '$' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

fn compile(pattern: String) -> Result<Matcher, String> {
    Regex::new(&pattern).map(Matcher::Regex).map_err(|_| format!("{pattern:?} is no regular expression"))
}

/// A name as a pattern that matches nothing else, anchors left out. Names hold letters, digits and `. _ -` only.
pub(super) fn escaped(name: &str) -> String {
    name.replace('.', r"\.")
}

/// A rule of a written recipe, as its client reads it.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// As it is written.
    pub(super) pattern: String,
    pub(super) matcher: Matcher,
    /// What is done to names that it matches, in words.
    pub(super) says: String,
}

/// A name of the model, and what the plan wants there.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    /// What it is, for people: a cell, or the role of another tensor.
    pub(super) what: String,
    /// In the words of [`Rule::says`]; nothing where no rule may match.
    pub(super) wants: Option<String>,
}

/// Which of several rules that match counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wins {
    First,
    Last,
}

/// Runs `rules` over `subjects`. The error names the first rule or subject that is not as the plan wants it: a rule that hits
/// nothing, a subject that gets what it should not or does not get what it should, a rule that others leave nothing of.
pub(super) fn dry_run(rules: &[Rule], wins: Wins, subjects: &[Subject]) -> Result<(), String> {
    let index = Index::of(rules);
    let (mut hits, mut won) = (vec![0_usize; rules.len()], vec![false; rules.len()]);
    let mut wrong = None;
    for subject in subjects {
        let matching = index.matching(rules, &subject.name);
        for rule in &matching {
            hits[*rule] += 1;
        }
        let winner = if wins == Wins::First { matching.first() } else { matching.last() };
        if let Some(winner) = winner {
            won[*winner] = true;
        }
        if wrong.is_none() {
            let matching: Vec<&Rule> = matching.iter().map(|rule| &rules[*rule]).collect();
            wrong = verdict(subject, winner.map(|rule| &rules[*rule]), &matching).err();
        }
    }
    if let Some(rule) = hits.iter().position(|hits| *hits == 0) {
        return Err(format!("the pattern {:?} matches no tensor of the model", rules[rule].pattern));
    }
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    match won.iter().position(|won| !won) {
        Some(rule) => {
            Err(format!("the pattern {:?} never counts: others match all of its tensors", rules[rule].pattern))
        }
        None => Ok(()),
    }
}

fn verdict(subject: &Subject, winner: Option<&Rule>, matching: &[&Rule]) -> Result<(), String> {
    let Subject { name, what, wants } = subject;
    match (winner, wants) {
        (None, None) => Ok(()),
        (Some(rule), Some(wants)) if rule.says == *wants => Ok(()),
        (None, Some(wants)) => Err(format!("no pattern matches {name} ({what}), which should be {wants}")),
        (Some(rule), None) => Err(format!("the pattern {:?} also matches {name} ({what})", rule.pattern)),
        (Some(rule), Some(wants)) => match matching.iter().find(|other| other.says == *wants) {
            Some(other) => Err(format!(
                "the pattern {:?} for {name} ({what}) is shadowed by {:?}, which makes it {} instead of {wants}",
                other.pattern, rule.pattern, rule.says
            )),
            None => {
                Err(format!("the pattern {:?} makes {name} ({what}) {} instead of {wants}", rule.pattern, rule.says))
            }
        },
    }
}

/// Rules by what they match, so that a plan of tens of thousands of cells takes no square of that.
struct Index<'a> {
    whole: HashMap<&'a str, Vec<usize>>,
    tail: HashMap<&'a str, Vec<usize>>,
    expressions: Vec<usize>,
}

impl<'a> Index<'a> {
    fn of(rules: &'a [Rule]) -> Self {
        let mut index = Self { whole: HashMap::new(), tail: HashMap::new(), expressions: Vec::new() };
        for (number, rule) in rules.iter().enumerate() {
            match &rule.matcher {
                Matcher::Whole(name) => index.whole.entry(name).or_default().push(number),
                Matcher::Tail(name) => index.tail.entry(name).or_default().push(number),
                Matcher::Regex(_) => index.expressions.push(number),
            }
        }
        index
    }

    /// Numbers of the rules that match, in their order.
    fn matching(&self, rules: &[Rule], name: &str) -> Vec<usize> {
        let mut numbers = self.whole.get(name).cloned().unwrap_or_default();
        let tails = std::iter::once(name).chain(name.match_indices('.').map(|(dot, _)| &name[dot + 1..]));
        numbers.extend(tails.filter_map(|tail| self.tail.get(tail)).flatten());
        let expression =
            |rule: &&usize| matches!(&rules[**rule].matcher, Matcher::Regex(regex) if regex.is_match(name));
        numbers.extend(self.expressions.iter().filter(expression));
        numbers.sort_unstable();
        numbers
    }
}
