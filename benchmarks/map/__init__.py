"""Where does mixing help? Drawn graphs over homophily, signal of features and labels."""
