mod normalise;
