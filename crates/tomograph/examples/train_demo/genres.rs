//! Kinds of documents. In each, what comes later depends on what was said before: names return, times go on, sums are
//! taken of the items above, so that there is something to learn that three bytes do not show.

use std::fmt::Write as _;

use super::draw::Draw;
use super::template::{Names, capital, counted, fill, with_article};
use super::words::{COUNTRIES, DAYS, MONTHS, PEOPLE, list};

/// A kind of document.
pub(crate) type Genre = fn(&mut Draw) -> String;

/// All kinds, the frequent ones more than once.
pub(crate) const GENRES: &[Genre] = &[
    story, story, story, story, letter, letter, shopping, country, country, log, questions, questions, recipe,
    inventory, dialogue, diary,
];

/// Two people, a thing, two places and a day: what most documents are about.
fn cast(draw: &mut Draw) -> Names {
    let mut names = Names::default();
    let people = draw.several(PEOPLE, 2);
    for (person, slots) in people.iter().zip([["P", "he", "his", "him"], ["Q", "qe", "qis", "qim"]]) {
        names.set(slots[0], person.0);
        for (slot, pronoun) in slots[1..].iter().zip(person.1) {
            names.set(slot, pronoun);
        }
    }
    let places = draw.several(list("place").unwrap_or_default(), 2);
    names.set("here", places[0]);
    names.set("there", places[1]);
    for slot in ["thing", "quality", "relation", "job", "animal", "day", "time"] {
        names.draw(draw, slot, slot);
    }
    names
}

const OPENINGS: &[&str] = &[
    "On {day} {time} {P} {moved} to the {here} with {a quality thing}.",
    "{P}, the {job}, had lost {a quality thing} near the {here}.",
    "It was {day}, and {P} was waiting for {Q} at the {here}.",
    "Early on {day} {time} {P} found {a quality thing} behind the {here}.",
    "{P} and {Q} lived in {a quality} house between the {here} and the {there}.",
    "Nobody at the {here} knew that {P} had {a quality thing}.",
];

const MIDDLES: &[&str] = &[
    "{Q} was {mood}, because {qis} {relation} had {gave} {qim} {number} {food}.",
    "There was {weather} all {time}, and the {here} was closed.",
    "\"Where is the {thing}?\" {said} {Q}.",
    "\"I left the {thing} at the {there},\" {said} {P}.",
    "{He} {often} {moved} to the {there} on {day} {time}.",
    "The {animal} belonged to {Q}, the {job} of the {here}.",
    "{P} {gave} the {thing} to {Q}, and {qe} was {mood}.",
    "{Q} asked {his} {relation} for the {thing}, but it was too {quality}.",
    "The road from the {here} to the {there} was {quality} and long.",
    "{P} put the {thing} on the table and {said}: \"It is not mine.\"",
    "After {number} hours {he} was {mood}, and {he} {moved} home.",
    "Then {Q} {moved} to the {there} and bought {number} {food}.",
    "{His} {relation} had {often} been {mood} about the {thing}.",
    "The {vehicle} to the {there} was late, and {P} was {mood}.",
    "\"You are {mood} today,\" {said} {P}, and {Q} laughed.",
    "The {quality} {animal} slept under the {vehicle} near the {here}.",
    "{Q} {said} that the {thing} was {quality} and made of {material}.",
    "Everybody at the {there} had heard of {P} and {his} {thing}.",
];

const ENDINGS: &[&str] = &[
    "In the end {Q} kept the {thing}, and {P} kept the {animal}.",
    "So the {thing} stayed at the {here}, and {P} was {mood} again.",
    "{P} and {Q} never spoke of the {thing} again.",
    "On the next day {he} {gave} the {thing} to {his} {relation}.",
    "That is how {P} came to the {there} without {his} {thing}.",
];

fn story(draw: &mut Draw) -> String {
    let names = cast(draw);
    let mut sentences = vec![draw.pick(OPENINGS)];
    let count = draw.within(4, 9);
    sentences.extend(draw.several(MIDDLES, count));
    sentences.push(draw.pick(ENDINGS));
    let mut text = String::new();
    for sentence in sentences {
        let gap = if text.is_empty() {
            ""
        } else if draw.chance(15) {
            "\n\n"
        } else {
            " "
        };
        text.push_str(gap);
        text.push_str(&fill(sentence, &names, draw));
    }
    text + "\n"
}

/// A day of a year, and its place in the week: days and dates agree.
struct Date {
    year: usize,
    month: usize,
    day: usize,
    weekday: usize,
}

impl Date {
    fn draw(draw: &mut Draw) -> Self {
        let month = draw.below(MONTHS.len());
        let (year, day) = (draw.within(1950, 2019), draw.within(1, MONTHS[month].1));
        // Days since 1 January 1950, a Sunday, without 29 February: the calendar of these texts has no leap years.
        let before: usize = MONTHS[..month].iter().map(|(_, days)| days).sum();
        let weekday = (6 + (year - 1950) * 365 + before + day - 1) % DAYS.len();
        Self { year, month, day, weekday }
    }

    fn long(&self) -> String {
        format!("{}, {} {} {}", DAYS[self.weekday], self.day, MONTHS[self.month].0, self.year)
    }

    fn iso(&self) -> String {
        format!("{}-{:02}-{:02}", self.year, self.month + 1, self.day)
    }

    fn next(&mut self) {
        self.weekday = (self.weekday + 1) % DAYS.len();
        self.day += 1;
        if self.day > MONTHS[self.month].1 {
            self.day = 1;
            self.year += usize::from(self.month == 11);
            self.month = (self.month + 1) % MONTHS.len();
        }
    }
}

const NEWS: &[&str] = &[
    "Thank you for the {thing}.",
    "We have had {weather} since {day}, and the {animal} will not leave the house.",
    "My {relation} is {mood} and asks about your {animal}.",
    "Please bring {number} {food} and the {quality} {thing} when you come to the {here}.",
    "The {here} is closed until {day}, so we shall meet at the {there}.",
    "I have found {a quality thing} in the {there}; is it yours?",
    "The {job} wants to buy the {thing}, but I am not {mood}.",
    "The {vehicle} leaves on {day} {time}.",
    "Do you remember the {job} with the {quality} {animal}?",
];

fn letter(draw: &mut Draw) -> String {
    let names = cast(draw);
    let mut text = format!("{}\n\nDear {},\n\n", Date::draw(draw).long(), fill("{Q}", &names, draw));
    let count = draw.within(3, 6);
    let sentences: Vec<String> = draw.several(NEWS, count).iter().map(|s| fill(s, &names, draw)).collect();
    text.push_str(&sentences.join(" "));
    let closing = draw.pick(&["Yours", "With love", "Your friend", "Best wishes"]);
    let _ = writeln!(text, "\n\n{closing},\n{}", fill("{P}", &names, draw));
    text
}

fn shopping(draw: &mut Draw) -> String {
    let names = cast(draw);
    let mut text = fill("Shopping list for {day}, for {P} and {Q}:\n", &names, draw);
    let count = draw.within(4, 8);
    let items = draw.several(list("food").unwrap_or_default(), count);
    let mut pieces = 0;
    for item in &items {
        let number = draw.within(2, 12);
        pieces += number;
        let _ = writeln!(text, "- {number} {item}");
    }
    let _ = writeln!(text, "{} kinds, {pieces} pieces.", capital(&counted(items.len())));
    text
}

fn country(draw: &mut Draw) -> String {
    let mut sentences = Vec::new();
    for [name, capital, river, goods, flag, people] in draw.several(COUNTRIES, 2) {
        let all = [
            format!("The capital of {name} is {capital}."),
            format!("{capital} lies on the {river}, the longest river of {name}."),
            format!("{name} sells {goods}."),
            format!("The flag of {name} is {flag}."),
            format!("The {people} live on {goods}, and most of them in {capital}."),
            format!("Whoever follows the {river} comes to {capital}."),
        ];
        let count = draw.within(3, 6);
        let indices: Vec<usize> = (0..all.len()).collect();
        let chosen: Vec<String> = draw.several(&indices, count).iter().map(|i| all[*i].clone()).collect();
        sentences.push(chosen.join(" "));
    }
    sentences.join("\n\n") + "\n"
}

fn log(draw: &mut Draw) -> String {
    let mut date = Date::draw(draw);
    let devices = draw.several(list("device").unwrap_or_default(), 3);
    let mut minute = draw.within(300, 1200);
    let mut text = String::new();
    for _ in 0..draw.within(6, 14) {
        minute += draw.within(1, 59);
        if minute >= 1440 {
            minute -= 1440;
            date.next();
        }
        let device = draw.pick(&devices);
        let (number, state) = (draw.within(1, 4), draw.pick(list("state").unwrap_or_default()));
        let (hour, rest) = (minute / 60, minute % 60);
        let _ = writeln!(text, "{} {hour:02}:{rest:02} {device} {number}: {state}", date.iso());
    }
    text
}

fn questions(draw: &mut Draw) -> String {
    let people = draw.several(PEOPLE, 4);
    let jobs = draw.several(list("job").unwrap_or_default(), 4);
    let places = draw.several(list("place").unwrap_or_default(), 4);
    let things = draw.several(list("thing").unwrap_or_default(), 4);
    let mut text = String::new();
    for i in 0..4 {
        let (name, pronouns) = people[i];
        let (he, job) = (capital(pronouns[0]), with_article(jobs[i]));
        let _ = writeln!(text, "{name} is {job}. {he} has the {} and is at the {}.", things[i], places[i]);
    }
    let order = draw.several(&[0, 1, 2, 3], 4);
    for i in order {
        let (question, answer) = match draw.below(4) {
            0 => (format!("Where is {}?", people[i].0), format!("At the {}.", places[i])),
            1 => (format!("Who has the {}?", things[i]), format!("{}.", people[i].0)),
            2 => (format!("Who is the {}?", jobs[i]), format!("{}.", people[i].0)),
            _ => (format!("Where is the {}?", things[i]), format!("At the {}.", places[i])),
        };
        let _ = writeln!(text, "Q: {question}\nA: {answer}");
    }
    text
}

fn recipe(draw: &mut Draw) -> String {
    let (dish, foods) =
        (draw.pick(list("dish").unwrap_or_default()), draw.several(list("food").unwrap_or_default(), 3));
    let staples = draw.several(list("staple").unwrap_or_default(), 2);
    let people = draw.within(2, 8);
    let mut text = format!("{} of {} and {} for {}\n\n", capital(dish), foods[0], foods[1], counted(people));
    for food in &foods {
        let _ = writeln!(text, "{} {food}", draw.within(2, 9));
    }
    for staple in &staples {
        let _ = writeln!(text, "{} grams of {staple}", draw.within(2, 20) * 25);
    }
    let minutes = draw.within(2, 9) * 5;
    let _ = writeln!(
        text,
        "\nWash the {} and the {}. Cut the {} into pieces and mix them with the {}. Add the {}, stir, and cook \
         everything for {minutes} minutes. Serve the {dish} with the {}.",
        foods[0], foods[1], foods[0], staples[0], staples[1], foods[2],
    );
    text
}

fn inventory(draw: &mut Draw) -> String {
    let names = cast(draw);
    let mut text = fill("Inventory of the {here}, {day}\n", &names, draw);
    text.push_str("item        colour   count\n");
    let count = draw.within(4, 8);
    let mut total = 0;
    for thing in draw.several(list("thing").unwrap_or_default(), count) {
        let (colour, number) = (draw.pick(list("colour").unwrap_or_default()), draw.within(1, 40));
        total += number;
        let _ = writeln!(text, "{thing:<12}{colour:<9}{number:>5}");
    }
    let _ = writeln!(text, "{:<21}{total:>5}", "total");
    text
}

const TURNS: &[&str] = &[
    "Have you seen the {thing}?",
    "No, but I was at the {here} on {day}.",
    "The {job} has {a quality thing}, I think.",
    "Then let us go to the {there}.",
    "Not in this {weather}!",
    "My {animal} is {mood} today.",
    "It costs {#} crowns.",
    "That is too much for {a quality thing}.",
    "Ask my {relation}, who is {a job}.",
    "I shall come at {number} o'clock.",
    "The {vehicle} is {often} late on {day}.",
];

fn dialogue(draw: &mut Draw) -> String {
    let names = cast(draw);
    let count = draw.within(5, 10);
    let mut text = fill("{Day} {time}, at the {here}.\n", &names, draw);
    for (turn, line) in draw.several(TURNS, count).iter().enumerate() {
        let speaker = if turn % 2 == 0 { "{P}" } else { "{Q}" };
        let _ = writeln!(text, "{}: {}", fill(speaker, &names, draw).to_uppercase(), fill(line, &names, draw));
    }
    text
}

const ENTRIES: &[&str] = &[
    "{Weather} in the {time}. Saw {Q} at the {here}.",
    "Bought {number} {food} and {a quality thing}.",
    "The {animal} was {mood}. Wrote to my {relation}.",
    "Stayed at home. {Number} letters, none from {Q}.",
    "{Q} {gave} me {a quality thing}. I was {mood}.",
    "To the {there} by {vehicle}. It was {quality} there.",
];

fn diary(draw: &mut Draw) -> String {
    let names = cast(draw);
    let mut date = Date::draw(draw);
    let mut text = String::new();
    for _ in 0..draw.within(3, 6) {
        let count = draw.within(1, 2);
        let entry: Vec<String> = draw.several(ENTRIES, count).iter().map(|e| fill(e, &names, draw)).collect();
        let _ = writeln!(text, "{} {} {}: {}", DAYS[date.weekday], date.day, MONTHS[date.month].0, entry.join(" "));
        date.next();
    }
    text
}
