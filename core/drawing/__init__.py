"""What is drawn for people to look at: charts, heat maps over pictures, and the lettering of sheets."""
