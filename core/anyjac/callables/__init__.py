"""What passes for a function of the user's. Reads functions and classes; knows no array and no Variable."""
