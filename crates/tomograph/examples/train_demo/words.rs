//! The words that generated texts are made of, by the name that templates call them by.

/// Names, and the pronouns that go with them.
pub(crate) const PEOPLE: &[(&str, [&str; 3])] = &[
    ("Anna", SHE),
    ("Bertil", HE),
    ("Clara", SHE),
    ("Dmitri", HE),
    ("Edith", SHE),
    ("Felix", HE),
    ("Greta", SHE),
    ("Hamid", HE),
    ("Ines", SHE),
    ("Jonas", HE),
    ("Kirsten", SHE),
    ("Leo", HE),
    ("Marta", SHE),
    ("Nils", HE),
    ("Olga", SHE),
    ("Pavel", HE),
    ("Rosa", SHE),
    ("Samuel", HE),
    ("Tilda", SHE),
    ("Viktor", HE),
    ("Wanda", SHE),
    ("Yusuf", HE),
    ("Zoe", SHE),
    ("Martin", HE),
    ("Helena", SHE),
    ("Oskar", HE),
    ("Lydia", SHE),
    ("Henrik", HE),
];

const SHE: [&str; 3] = ["she", "her", "her"];
const HE: [&str; 3] = ["he", "his", "him"];

/// Countries that are nowhere else: name, capital, river, what they sell, colours of the flag, people. What a text says about
/// them is the same in every text.
pub(crate) const COUNTRIES: &[[&str; 6]] = &[
    ["Avaria", "Polden", "Mirrow", "copper and glass", "green and white", "Avarians"],
    ["Brennia", "Castrel", "Oude", "timber and salt", "red and black", "Brennians"],
    ["Caldor", "Winmouth", "Tarn", "wool and slate", "blue and yellow", "Caldorians"],
    ["Drovia", "Kessin", "Ulva", "wheat and horses", "white and red", "Drovians"],
    ["Elmark", "Sundvik", "Hjell", "fish and amber", "blue and white", "Elmarkers"],
    ["Farrow", "Dunleigh", "Esk", "coal and cheese", "black and gold", "Farrovians"],
    ["Gallend", "Marrin", "Sorne", "wine and olives", "purple and green", "Gallenders"],
    ["Hestria", "Volbek", "Drin", "iron and paper", "grey and red", "Hestrians"],
    ["Ilvany", "Porto Lise", "Carra", "silk and lemons", "orange and blue", "Ilvanians"],
    ["Jorund", "Skarhaven", "Vatna", "wool and dried cod", "red and blue", "Jorunders"],
    ["Kestria", "Almadin", "Zarif", "dates and carpets", "green and gold", "Kestrians"],
    ["Lorrany", "Beaufort", "Vienne", "lace and cider", "white and gold", "Lorraners"],
];

/// Months and their days.
pub(crate) const MONTHS: &[(&str, usize)] = &[
    ("January", 31),
    ("February", 28),
    ("March", 31),
    ("April", 30),
    ("May", 31),
    ("June", 30),
    ("July", 31),
    ("August", 31),
    ("September", 30),
    ("October", 31),
    ("November", 30),
    ("December", 31),
];

/// Days of the week, in their order.
pub(crate) const DAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Numbers in words, from zero.
pub(crate) const NUMBERS: &[&str] =
    &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// Lists of words by name.
pub(crate) fn list(name: &str) -> Option<&'static [&'static str]> {
    LISTS.iter().find(|(known, _)| *known == name).map(|(_, words)| *words)
}

const LISTS: &[(&str, &[&str])] = &[
    ("day", DAYS),
    ("time", &["morning", "afternoon", "evening", "night"]),
    (
        "place",
        &[
            "market",
            "harbour",
            "station",
            "library",
            "mill",
            "church",
            "school",
            "bakery",
            "bridge",
            "forest",
            "orchard",
            "museum",
            "workshop",
            "garden",
            "castle",
            "inn",
            "lighthouse",
            "post office",
            "quarry",
            "theatre",
        ],
    ),
    (
        "thing",
        &[
            "lamp", "basket", "coat", "letter", "key", "map", "clock", "bottle", "ladder", "bicycle", "blanket",
            "knife", "hammer", "mirror", "umbrella", "apron", "envelope", "trunk", "violin", "ring", "kettle", "purse",
            "saw", "notebook", "candle", "hat", "radio", "spade",
        ],
    ),
    (
        "quality",
        &[
            "old",
            "small",
            "heavy",
            "broken",
            "green",
            "red",
            "blue",
            "wooden",
            "empty",
            "new",
            "dusty",
            "bright",
            "plain",
            "narrow",
            "silver",
            "yellow",
            "useful",
            "expensive",
            "worn",
            "strange",
        ],
    ),
    ("mood", &["tired", "glad", "angry", "quiet", "proud", "worried", "hungry", "curious", "calm", "certain"]),
    ("relation", &["brother", "sister", "neighbour", "cousin", "aunt", "uncle", "teacher", "friend"]),
    (
        "job",
        &[
            "baker",
            "carpenter",
            "doctor",
            "farmer",
            "teacher",
            "sailor",
            "clerk",
            "miller",
            "printer",
            "gardener",
            "tailor",
            "librarian",
            "engineer",
            "painter",
            "weaver",
            "smith",
        ],
    ),
    ("animal", &["dog", "cat", "horse", "goat", "hen", "goose", "donkey", "sheep", "crow", "fox"]),
    ("weather", &["rain", "snow", "fog", "wind", "sunshine", "hail", "thunder", "frost"]),
    (
        "food",
        &[
            "apples",
            "pears",
            "onions",
            "carrots",
            "eggs",
            "potatoes",
            "plums",
            "beans",
            "walnuts",
            "lemons",
            "leeks",
            "turnips",
            "cherries",
            "radishes",
            "mushrooms",
            "tomatoes",
        ],
    ),
    ("staple", &["flour", "butter", "sugar", "milk", "rice", "salt", "oil", "cream", "honey", "yeast", "cheese"]),
    ("dish", &["soup", "pie", "stew", "bread", "cake", "salad", "porridge", "omelette"]),
    ("moved", &["walked", "went", "hurried", "drove", "came back", "cycled", "ran", "returned"]),
    ("gave", &["gave", "sold", "lent", "showed", "sent", "brought"]),
    ("said", &["said", "answered", "whispered", "shouted", "explained", "repeated"]),
    ("often", &["often", "never", "always", "sometimes", "rarely", "usually"]),
    ("colour", &["red", "green", "blue", "white", "black", "yellow", "brown", "grey"]),
    ("device", &["pump", "boiler", "relay", "valve", "sensor", "motor", "heater", "fan"]),
    ("state", &["ready", "stopped", "started", "blocked", "idle", "open", "closed", "full"]),
    ("number", &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]),
    ("vehicle", &["train", "ferry", "bus", "boat", "cart", "tram"]),
    ("material", &["stone", "wood", "brick", "iron", "clay", "glass"]),
];
