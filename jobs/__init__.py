"""What happens while nobody looks: the listing of this folder is the list of what happens."""
