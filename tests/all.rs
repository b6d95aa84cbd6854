mod training;
