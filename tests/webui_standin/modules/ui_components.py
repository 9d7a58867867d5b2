class ToolButton:
    pass
