"""What an article is, what a model is, how it tags.

>>> from classifier.article import Article
>>> Article("河长在岸边清点垃圾。").title
''
"""
