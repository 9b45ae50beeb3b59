//! The text used when the user gives none. See `sample/README.md`.

macro_rules! documents {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../sample/", $name, ".txt")))),*]
    };
}

/// Names and texts, in order.
pub(crate) const DOCUMENTS: &[(&str, &str)] = documents![
    "01-river-terraces",
    "02-merge-bookings",
    "03-lost-property",
    "04-papiermuehle",
    "05-coupon-collector",
    "06-browning-onions",
    "07-comet",
    "08-bees-on-the-road",
    "09-doufu",
    "10-choir-email",
    "11-tool-library",
    "12-finders",
    "13-scorbut",
    "14-loan-chat",
    "15-word-count",
    "16-ropewalk",
    "17-harbour-news",
    "18-backup-script",
    "19-falaj",
    "20-grafting",
    "21-mail-relay-log",
    "22-temperament",
    "23-eclipse",
    "24-recipe-scaler",
    "25-coxswain",
    "26-stantsiya",
    "27-lampwick-readme",
    "28-island-tables",
    "29-reviews",
    "30-khichdi",
    "31-three-poems",
    "32-yakousha",
];
