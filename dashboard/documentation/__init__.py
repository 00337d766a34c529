"""What the site of docs/ is made of beyond its pages: the variables that are read, and the routes of the API."""
