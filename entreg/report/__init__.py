"""The tables, figures and page that show typed results; nothing is computed or decided here."""
